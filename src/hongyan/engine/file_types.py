"""Types of files: what they say of themselves, what their bytes show, and how a browser may be given them."""

import mimetypes
import re

UNKNOWN = "application/octet-stream"
#: Bytes of the beginning that show the type.
HEAD = 8_192

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
#: A browser shows these; none of them can hold a script.
_SHOWN = re.compile(r"(image|audio|video)/(?!svg)[a-z0-9.-]+(\+(?!xml)[a-z0-9.-]+)?|text/plain")
#: A browser saves these under their own type; every other one is saved as bytes of no type.
_SAVED = re.compile(
    r"application/(pdf|json|zip|gzip|msword|rtf|epub\+zip|x-(7z-compressed|rar-compressed|tar)|vnd\.[a-z0-9.-]+)"
    r"|text/(csv|markdown)|font/[a-z0-9.-]+"
)
_CONTENTS = ("image", "audio", "video")


def is_type(text: str) -> bool:
    """Whether a text is the name of a type, without parameters."""
    return _TYPE.fullmatch(text) is not None


def of_name(name: str) -> str:
    """The type that a file's name suggests."""
    guessed = mimetypes.guess_type(name, strict=False)[0] or UNKNOWN
    return guessed if is_type(guessed) else UNKNOWN  # a name like `data:…` is taken for a URL that tells a type


def of_bytes(head: bytes) -> str | None:
    """The type that the beginning of a file shows, if it shows any. Takes a fraction of a millisecond."""
    import puremagic  # here: its tables take a while to read, and most servers start without anybody uploading

    start = head.lstrip(b"\xef\xbb\xbf \t\r\n\f\0")[:64].lower()
    if start.startswith(b"<"):
        return "image/svg+xml" if start.startswith(b"<svg") else "text/html"
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return None
    return next((each.mime_type for each in found if is_type(each.mime_type)), None)


def allows(patterns: str, mime_type: str) -> bool:
    """Whether a list such as `image/*,application/pdf` has a place for a type."""
    wanted = re.escape(patterns.lower()).replace(r"\*", "[^/]*").replace(",", "|")
    return re.fullmatch(wanted, mime_type.lower()) is not None


def contradicts(patterns: str, mime_type: str, detected: str | None) -> bool:
    """Whether a file that says to be something to see or hear is, by its bytes, something that is not allowed.

    Of other types the bytes show little: office documents are archives.
    """
    says = mime_type.partition("/")[0].lower()
    return detected is not None and says in _CONTENTS and not allows(patterns, detected)


def served(mime_type: str, detected: str | None) -> tuple[str, bool]:
    """The type under which a file is given out, and whether a browser may show it instead of saving it."""
    declared = mime_type.lower()
    shown = _SHOWN.fullmatch(declared) and (detected is None or _SHOWN.fullmatch(detected))
    if shown:
        return declared, True
    return (declared if _SAVED.fullmatch(declared) else UNKNOWN), False
