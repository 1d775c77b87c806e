"""Which addresses of an app's own servers are taken."""

import re
from urllib.parse import urlsplit

URL_MAX = 2_048
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986, appendix A


def is_web_url(text: str) -> bool:
    """Whether it is a URL of HTTP with a host: no user, whose password would be seen, and no fragment."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = parts.username is None and parts.password is None and not parts.fragment
    return (
        named
        and plain
        and parts.scheme in ("http", "https")
        and len(text) <= URL_MAX
        and bool(_CHARACTERS.fullmatch(text))
    )
