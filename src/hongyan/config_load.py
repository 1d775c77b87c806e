"""Reading the settings: defaults < a TOML file < the environment < the command line.

Whatever is wrong with them is one sentence (`StartupError`) that names the setting and where it was set.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hongyan.config import FIELDS, PREFIX, Field, FilesOptions, GatewayOptions, Settings
from hongyan.errors import StartupError

SECTIONS = sorted({field.path[0] for field in FIELDS.values() if len(field.path) > 1})
CONFIG_VARIABLE = PREFIX + "CONFIG"


def load(
    file: Path | None = None,
    options: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the settings.

    `file` is the TOML file (else the environment names it); `options` are the texts of the command line by
    setting name, with None for those not given. Raises StartupError: one sentence that names what is wrong.
    """
    values: dict[str, Any] = {}
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    if file is not None:
        values |= _from_file(file)
    values |= _from_environment(environment)
    given = {name: text for name, text in (options or {}).items() if text is not None}
    values |= {name: _parse(FIELDS[name], text, f"({FIELDS[name].option})") for name, text in given.items()}
    settings = _build(values)
    check(settings)
    return settings


def _from_file(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise StartupError(f"The configuration file {file} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"The configuration file {file} is not valid TOML: {error}.") from None
    for name, value in content.items():
        if isinstance(value, dict) and name not in SECTIONS:
            raise StartupError(f"Section `[{name}]` in {file} is unknown{_resembling(name, SECTIONS)}.")
    return {name: _convert(_field(name, file), value, f"in {file}") for name, value in _flatten(content)}


def _flatten(table: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = section + key
        if isinstance(value, dict):
            yield from _flatten(value, name + ".")
        else:
            yield name, value


def _field(name: str, file: Path) -> Field:
    if name in FIELDS:
        return FIELDS[name]
    if any(known.startswith(name + ".") for known in FIELDS):
        raise StartupError(f"Setting `{name}` in {file} is a section: write it as the table `[{name}]`.")
    raise StartupError(f"Setting `{name}` in {file} is unknown{_resembling(name, list(FIELDS))}.")


# A container platform sets such variables, and `…PORT` with a URL, for a service that is called "hongyan".
_SERVICE_LINK = re.compile(PREFIX + r"(.+_)?(SERVICE_(HOST|PORT)|PORT_[0-9]+_)")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {field.variable: field for field in FIELDS.values()}
    values = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or not text or variable == CONFIG_VARIABLE:
            continue
        if variable in known:
            values[known[variable].name] = _parse(known[variable], text, f"({variable})")
        elif not (_SERVICE_LINK.match(variable) or (variable.endswith("PORT") and "://" in text)):
            hint = _resembling(variable, [*known, CONFIG_VARIABLE])
            raise StartupError(f"The environment variable {variable} is no setting{hint}.")
    return values


def _resembling(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (perhaps you mean `{close[0]}`)" if close else ""


def _parse(field: Field, text: str, source: str) -> Any:
    """The value of a text; lists are separated by commas."""
    is_list = field.is_list
    value = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    return _convert(field, value, source, strict=False)


def _convert(field: Field, value: Any, source: str, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(value, field.type, strict=strict, dec_hook=_path)
    except msgspec.ValidationError:
        raise StartupError(f"Setting `{field.name}` {source} must be {field.values}.") from None


def _path(_type: type[Path], value: Any) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("expected a path")
    return Path(value).expanduser()


def _build(values: Mapping[str, Any]) -> Settings:
    top = {name: value for name, value in values.items() if "." not in name}
    return Settings(
        **top,
        gateway=GatewayOptions(**_section(values, "gateway.")),
        files=FilesOptions(**_section(values, "files.")),
    )


def _section(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def check(settings: Settings) -> None:
    """Refuse settings that are wrong together or name what this version does not have."""
    if settings.http_port == settings.gateway_port != 0:
        raise StartupError(f"Settings `http_port` and `gateway_port` are both {settings.http_port}: make them differ.")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise StartupError("Settings `tls_cert` and `tls_key` need each other: set both or none.")
    if settings.redis is not None:
        raise StartupError("Setting `redis` is not available in this version: a server is one process.")
    _check_database(settings.database)
    _check_url("public_url", settings.public_url, ("http", "https"))
    _check_url("public_gateway_url", settings.public_gateway_url, ("ws", "wss"))
    _check_url("files.url", settings.files.url, ("http", "https"))
    _check_url("files.s3_endpoint", settings.files.s3_endpoint, ("http", "https"))
    _check_bucket(settings.files)
    _check_networks("trusted_proxies", settings.trusted_proxies)
    _check_networks("metrics_from", settings.metrics_from)
    _check_networks("allowed_private", settings.allowed_private)


def _check_database(url: str | None) -> None:
    scheme, _, path = (url or "sqlite:///default").partition(":///")
    if scheme != "sqlite" or not path or path == ":memory:" or "?" in path:
        raise StartupError("Setting `database` must be `sqlite:///PATH`: this version has no other kind of database.")


_URL_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986, appendix A


def _check_url(name: str, url: str | None, schemes: tuple[str, str]) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not _URL_CHARACTERS.fullmatch(url):
        raise StartupError(f"Setting `{name}` must be a URL that begins with {schemes[0]}:// or {schemes[1]}://.")


def _check_bucket(files: FilesOptions) -> None:
    if files.s3_bucket is not None and not _BUCKET.fullmatch(files.s3_bucket):
        raise StartupError(
            "Setting `files.s3_bucket` must be the name of a bucket: small letters, digits, `-` and `.`."
        )
    if files.s3_bucket is not None and files.directory is not None:
        raise StartupError("Settings `files.directory` and `files.s3_bucket` exclude each other: set one of them.")
    if (files.s3_access_key is None) != (files.s3_secret_key is None):
        raise StartupError(
            "Settings `files.s3_access_key` and `files.s3_secret_key` need each other: set both or none."
        )
    if files.s3_prefix is not None and not _PREFIX.fullmatch(files.s3_prefix):
        raise StartupError("Setting `files.s3_prefix` must have letters, digits, `-` and `_`, with `/` between them.")


_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


def _check_networks(name: str, networks: tuple[str, ...]) -> None:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise StartupError(
                f"Setting `{name}` must list addresses or networks such as 10.0.0.0/8, not `{network}`."
            ) from None
