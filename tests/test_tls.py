"""The TLS files of both ports: good ones serve, and each way to be wrong has its sentence."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from hongyan import tls
from hongyan.errors import StartupError
from tests.support.server import Certificate


def test_without_files_there_is_no_tls() -> None:
    assert tls.server_context(None, None) is None


def test_good_files_make_a_context_without_old_protocols(certificate: Certificate) -> None:
    context = tls.server_context(certificate.certificate, certificate.key)
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_end_of_validity_is_told(tmp_path: Path) -> None:
    end = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
    issued = trustme.CA().issue_cert("localhost", not_after=end)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    assert abs(tls.check(cert, key) - end) < timedelta(seconds=1)


def refusal(cert: Path, key: Path) -> str:
    with pytest.raises(StartupError) as caught:
        tls.server_context(cert, key)
    return str(caught.value)


def test_absent_files(certificate: Certificate, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert refusal(absent, certificate.key) == (
        f"The TLS certificate {absent} can't be read: No such file or directory."
    )
    assert refusal(certificate.certificate, absent) == (
        f"The TLS key {absent} can't be read: No such file or directory."
    )
    assert refusal(tmp_path, certificate.key) == f"The TLS certificate {tmp_path} can't be read: Is a directory."


@pytest.mark.parametrize("kind", ["CERTIFICATE", "PRIVATE KEY", None])
def test_files_that_are_something_else(certificate: Certificate, tmp_path: Path, kind: str | None) -> None:
    junk = tmp_path / "junk"
    junk.write_text(f"-----BEGIN {kind}-----\njunk\n-----END {kind}-----\n" if kind else "")
    assert refusal(junk, certificate.key) == f"The TLS certificate {junk} is not a PEM file with a certificate."
    assert refusal(certificate.certificate, junk) == f"The TLS key {junk} is not a PEM file with a private key."


def test_files_in_the_wrong_order(certificate: Certificate) -> None:
    assert "is not a PEM file with a certificate." in refusal(certificate.key, certificate.certificate)


def test_a_key_of_another_certificate(certificate: Certificate, tmp_path: Path) -> None:
    other = Certificate.issue(tmp_path)
    assert refusal(certificate.certificate, other.key) == (
        f"The TLS key {other.key} does not belong to the first certificate in {certificate.certificate}."
    )


def test_a_key_with_a_passphrase(certificate: Certificate, tmp_path: Path) -> None:
    key = load_pem_private_key(certificate.key.read_bytes(), password=None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"goose")))
    assert refusal(certificate.certificate, locked) == (f"The TLS key {locked} has a passphrase: store it without one.")
