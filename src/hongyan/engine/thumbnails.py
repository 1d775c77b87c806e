"""Smaller versions of images, as SDKs ask for them in the query of a file's URL.

`imageView/MODE/w/W/h/H/q/Q/format/F` (also `imageView2`) and `imageMogr2/thumbnail/GEOMETRY/quality/Q/format/F`.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from hongyan import errors
from hongyan.errors import Refused

#: Pixels of a side of what is made.
SIDE_MAX = 4_096
QUALITY_DEFAULT = 75
#: Formats that are read, and how each is written; whatever else Pillow knows is not tried on what strangers send.
READ = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
#: How many times as much memory a pixel of a format takes as one of the others: this decoder keeps several canvases.
WEIGHTS = {"WEBP": 3}
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP"}
_NUMBER = r"[0-9]{1,5}(?:\.[0-9]{1,3})?"
_TEXT_MAX = 256
#: Passes in which a JPEG may come, where encoders make a dozen at most; each costs as much as the whole picture.
SCANS_MAX = 64
#: Pieces of a file that are looked at one by one, which costs the time of Python: a chunk of a PNG is about four.
PIECES_MAX = 100_000
#: What follows a byte 0xFF in a JPEG if it is no marker, or none that ends the pass: stuffing, restarts.
_MARKER = re.compile(rb"\xff+([^\xff\x00\xd0-\xd7])")
_SCAN, _END, _LONE = 0xDA, 0xD9, frozenset({0x01, 0xD8})


class _Pieces(io.BytesIO):
    """A file that can be read in so many pieces only: a parser of images takes them one by one while there are any."""

    left = PIECES_MAX

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many pieces")
        return super().read(size)


class Size(NamedTuple):
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted: `how` names the way in which `width` and `height` (0: not given) are meant."""

    how: str
    width: float = 0
    height: float = 0
    quality: int = QUALITY_DEFAULT
    format: str | None = None

    @property
    def name(self) -> str:
        """The same for the same picture, with characters for the name of a blob."""
        size = f"{self.width:g}x{self.height:g}".replace(".", "_")
        return f"{self.how}-{size}-{self.quality}-{self.format or 'same'}"


class Picture(NamedTuple):
    content: bytes
    mime_type: str


class Facts(NamedTuple):
    """What `?imageInfo` tells."""

    format: str
    width: int
    height: int
    mode: str


def parse(query: str) -> Wish | None:
    """What a query asks for; None if it is about something else. Raises Refused(IMAGE_REFUSED)."""
    name, _, rest = query.partition("/")
    if name not in ("imageView", "imageView2", "imageMogr2"):
        return None
    if len(query) > _TEXT_MAX:
        raise _refused("the wish is too long")
    parts = rest.rstrip("/").split("/")
    return _magic(parts) if name == "imageMogr2" else _view(parts)


#: What the modes of `imageView` mean: 0 and 4 speak of the longer and the shorter side, and so do we of all.
_MODES = {"0": "within", "1": "fill", "2": "within", "3": "over", "4": "over", "5": "fill"}


def _view(parts: list[str]) -> Wish:
    given = _pairs(parts[1:])
    how = _MODES.get(parts[0])
    if how is None or not given.keys() <= {"w", "h", "q", "format", "interlace", "ignore-error"}:
        raise _refused("the wish is not known")
    width, height = (_side(given.get(name, "0")) for name in ("w", "h"))
    if how == "fill" and not (width and height):
        width = height = width or height
    return _checked(how, width, height, given.get("q"), given.get("format"))


_GEOMETRIES: tuple[tuple[str, str], ...] = (
    (rf"!(?P<w>{_NUMBER})p", "percent"),
    (rf"(?P<w>{_NUMBER})x(?P<h>{_NUMBER})!", "exactly"),
    (rf"!(?P<w>{_NUMBER})x(?P<h>{_NUMBER})r", "over"),
    (rf"(?P<w>{_NUMBER})?x(?P<h>{_NUMBER})?>?", "within"),
)


def _magic(parts: list[str]) -> Wish:
    """Words that ask for what is done in any case are passed over."""
    words = [part for part in parts if part not in ("auto-orient", "strip")]
    given = _pairs(words)
    if not given.keys() <= {"thumbnail", "quality", "format", "interlace"}:
        raise _refused("the wish is not known")
    geometry = given.get("thumbnail", "!100p")
    for pattern, how in _GEOMETRIES:
        if found := re.fullmatch(pattern, geometry):
            sides = {"w": None, "h": None} | found.groupdict()
            width, height = (float(sides[name] or 0) for name in ("w", "h"))
            return _checked(how, width, height, given.get("quality"), given.get("format"))
    raise _refused("the size is not known")


def _pairs(parts: list[str]) -> dict[str, str]:
    if len(parts) % 2:
        raise _refused("a value is missing")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _side(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise _refused("a side is a whole number")
    return int(text)


def _checked(how: str, width: float, height: float, quality: str | None, format: str | None) -> Wish:
    if not (width or height) or max(width, height) > (1_000 if how == "percent" else SIDE_MAX):
        raise _refused(f"a side has 1 to {SIDE_MAX} pixels")
    number = _side(quality.rstrip("!") if quality else str(QUALITY_DEFAULT))
    if not 1 <= number <= 100:
        raise _refused("the quality is 1 to 100")
    if format is not None and format not in FORMATS:
        raise _refused(f"the format is one of {', '.join(FORMATS)}")
    return Wish(how, width, height, number, format)


def make(content: bytes, wish: Wish, pixels_max: int) -> Picture:
    """The smaller picture; upright, without what else the file says. Raises Refused(IMAGE_REFUSED)."""
    with _refusing():
        made, written = _reduced(content, wish, pixels_max)  # nothing of the whole is left when this is written
        return _written(made, written, wish.quality)


def facts(content: bytes, pixels_max: int) -> Facts:
    """What there is to know of an image. Raises Refused(IMAGE_REFUSED)."""
    with _refusing(), _opened(content, pixels_max) as image:
        return Facts(str(image.format).lower(), image.width, image.height, image.mode)


@contextmanager
def _opened(content: bytes, pixels_max: int) -> Iterator[Any]:
    """Only the head of the file is read before its pixels are counted: a small file can name any number of them."""
    from PIL import Image  # here: most servers start without anybody who wants a thumbnail

    Image.MAX_IMAGE_PIXELS = None  # its own limit only warns; ours holds
    with Image.open(_Pieces(content), formats=READ) as image:
        if image.format == "JPEG" and _has_too_many_scans(content):
            raise _refused(f"the image comes in more than {SCANS_MAX} passes")
        most = pixels_max // WEIGHTS.get(str(image.format), 1)
        if image.width * image.height > most:
            raise _refused(f"the image has more than {most} pixels")
        yield image


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Refused:
        raise
    except Exception as error:  # whatever a parser of broken images can run into
        raise _refused("this is no image, or a damaged one") from error


def _has_too_many_scans(content: bytes) -> bool:
    """Also if it has so many other segments that this takes long to tell."""
    at, scans = 0, 0
    for _ in range(PIECES_MAX // 10):
        marker = _MARKER.search(content, at)
        kind = marker[1][0] if marker is not None else _END
        if marker is None or kind == _END:
            return False
        at = marker.end()
        if kind not in _LONE:
            at += int.from_bytes(content[at : at + 2])
        scans += kind == _SCAN
        if scans > SCANS_MAX:
            return True
    return True


def _reduced(content: bytes, wish: Wish, pixels_max: int) -> tuple[Any, str]:
    """The smaller picture, and the format to write it in."""
    from PIL import Image, ImageOps

    with _opened(content, pixels_max) as image:
        written = FORMATS.get(wish.format or "", image.format if image.format in FORMATS.values() else "PNG")
        whole = Size(*_upright(image))
        size, crop = _sizes(whole, wish)
        if image.format == "JPEG" and whole == Size(*image.size):
            image.draft("RGB", size)  # a quarter of the pixels or fewer are decoded where that is enough
        ImageOps.exif_transpose(image, in_place=True)  # a copy would be as large again
        upright = image
        if upright.mode not in ("RGB", "RGBA", "L"):
            upright = upright.convert("RGBA" if "A" in upright.mode or "transparency" in upright.info else "RGB")
        made = upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        if crop is not None:
            left, top = (size.width - crop.width) // 2, (size.height - crop.height) // 2
            made = made.crop((left, top, left + crop.width, top + crop.height))
        return made, written


def _written(image: Any, format: str, quality: int) -> Picture:
    from PIL import Image

    if format == "JPEG" and image.mode == "RGBA":
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    file = io.BytesIO()
    image.save(file, format, quality=quality)
    return Picture(file.getvalue(), f"image/{format.lower()}")


#: EXIF's orientations that lay the image on its side.
_ORIENTATION, _LYING = 0x0112, frozenset({5, 6, 7, 8})


def _upright(image: Any) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION) in _LYING else (width, height)


def _sizes(whole: Size, wish: Wish) -> tuple[Size, Size | None]:
    """To what the image is scaled, and to what that is cut. Nothing grows unless an exact size is asked for."""
    if wish.how == "exactly":
        return Size(round(wish.width) or 1, round(wish.height) or 1), None
    if wish.how == "percent":
        return _scaled(whole, min(wish.width / 100, SIDE_MAX / max(whole))), None
    ratios = [side / length for side, length in zip((wish.width, wish.height), whole, strict=True) if side]
    ratio = min(ratios) if wish.how == "within" else max(ratios)
    size = _scaled(whole, min(ratio, 1.0, SIDE_MAX * 4 / max(whole)))
    if wish.how != "fill":
        return size, None
    return size, Size(min(size.width, round(wish.width)), min(size.height, round(wish.height)))


def _scaled(size: Size, ratio: float) -> Size:
    return Size(max(1, round(size.width * ratio)), max(1, round(size.height * ratio)))


def _refused(why: str) -> Refused:
    return Refused(errors.IMAGE_REFUSED, why)
