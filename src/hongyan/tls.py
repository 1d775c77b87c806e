"""The certificate and key of both ports, with one clear sentence for each way they can be wrong."""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hongyan.errors import StartupError


def server_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """The TLS context of the HTTP port and of the gateway; None without files. Raises StartupError."""
    if cert is None or key is None:
        return None
    check(cert, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise StartupError(f"The TLS files {cert} and {key} can't be used: {error.reason}.") from None
    return context


def check(cert: Path, key: Path) -> datetime:
    """The end of the certificate's validity. Raises StartupError unless both files can serve together."""
    certificate = _certificate(cert)
    if _encoded(certificate.public_key()) != _encoded(_key_of(key)):
        raise StartupError(f"The TLS key {key} does not belong to the first certificate in {cert}.")
    return certificate.not_valid_after_utc


def _certificate(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(file, "certificate"))[0]
    except ValueError:
        raise StartupError(f"The TLS certificate {file} is not a PEM file with a certificate.") from None


def _key_of(file: Path) -> CertificatePublicKeyTypes:
    try:
        return load_pem_private_key(_read(file, "key"), password=None).public_key()  # type: ignore[return-value]
    except TypeError:
        raise StartupError(f"The TLS key {file} has a passphrase: store it without one.") from None
    except ValueError:
        raise StartupError(f"The TLS key {file} is not a PEM file with a private key.") from None


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StartupError(f"The TLS {what} {file} can't be read: {error.strerror}.") from None


def _encoded(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
