"""Sites whose pages may use an app: the app setting `web_domains` against a browser's `Origin` (REST reference 1.4)."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

_MAX, _SITES_MAX = 4_096, 100
_SITE = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_OWN = frozenset({"localhost", "127.0.0.1", "::1"})


def parse(text: str) -> str:
    """The setting as it is kept. Raises ValueError with a sentence."""
    sites = [site.strip().lower().rstrip("/") for site in text.split(",") if site.strip()]
    for site in sites:
        if not _SITE.fullmatch(site):
            raise ValueError(f"The app setting web_domains has names of sites, such as chat.example.com, not {site!r}.")
    kept = ",".join(dict.fromkeys(sites))
    if len(kept) > _MAX or len(sites) > _SITES_MAX:
        raise ValueError(f"The app setting web_domains has at most {_SITES_MAX} sites in {_MAX} characters.")
    return kept


def allows(setting: str, origin: str | None) -> bool:
    """Whether pages of this origin may use the app; None: what calls is no browser."""
    if not setting or origin is None:
        return True
    try:
        parts = urlsplit(origin)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host:
        return False
    return host in _OWN or any(_matches(site, parts.scheme, host, port) for site in _sites(setting))


def _matches(site: re.Match[str], scheme: str, host: str, port: int | None) -> bool:
    name = site["host"].strip("[]")
    is_host = host.endswith(name[1:]) if name.startswith("*.") else host == name
    return is_host and site["scheme"] in (None, scheme) and (site["port"] is None or int(site["port"]) == port)


@lru_cache(maxsize=256)
def _sites(setting: str) -> tuple[re.Match[str], ...]:
    return tuple(found for site in setting.split(",") if (found := _SITE.fullmatch(site)) is not None)
