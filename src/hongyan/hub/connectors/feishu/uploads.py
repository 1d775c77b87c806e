"""Giving Feishu the bytes of pictures and files, for which it gives keys."""

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.connectors.feishu.api import Api
from hongyan.hub.content import Audio, File, Media, Video
from hongyan.hub.degrade import Degrade
from hongyan.hub.surroundings import Bytes

IMAGE_BYTES, FILE_BYTES = 10 * 1024 * 1024, 30 * 1024 * 1024
#: Pictures that Feishu shows.
PICTURES = frozenset({"jpeg", "jpg", "png", "webp", "gif", "bmp", "x-icon", "vnd.microsoft.icon", "tiff", "heic"})
#: The types of files it knows, by what their names end with.
FILE_TYPES = {"pdf": "pdf", "doc": "doc", "docx": "doc", "xls": "xls", "xlsx": "xls", "ppt": "ppt", "pptx": "ppt"}


class Uploads:
    """Of one message: what is in it twice is uploaded once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._keys: dict[Media, str | None] = {}
        self._files: dict[Media, tuple[str, str] | None] = {}

    async def image(self, media: Media, degrade: Degrade) -> str | None:
        """The key of a picture; None if it is none that Feishu shows, or can't be read."""
        if media not in self._keys:
            self._keys[media] = await self._image(media, degrade)
        return self._keys[media]

    async def _image(self, media: Media, degrade: Degrade) -> str | None:
        found = await self._read(media, IMAGE_BYTES, degrade)
        if found is None or found.type.removeprefix("image/") not in PICTURES or not found.content:
            return None
        file = ("image", found.name or "image", found.type, found.content)
        return await self._key("/open-apis/im/v1/images", file, {"image_type": "message"}, "image_key")

    async def file(self, content: File | Audio | Video, degrade: Degrade) -> tuple[str, str] | None:
        """The type of the message and the key of the file; None if it is too large, or can't be read."""
        media = content.media
        if media not in self._files:
            self._files[media] = await self._file(content, degrade)
        return self._files[media]

    async def _file(self, content: File | Audio | Video, degrade: Degrade) -> tuple[str, str] | None:
        media = content.media
        found = await self._read(media, FILE_BYTES, degrade)
        if found is None or not found.content:
            return None
        name = media.name or found.name or "file"
        message, type_ = _types(content, name, found)
        if isinstance(content, Audio) and message == "file":
            degrade.note("audio_to_file")
        if isinstance(content, Video) and message == "file":
            degrade.note("video_to_file")
        fields = {"file_type": type_, "file_name": name}
        if media.seconds is not None and message != "file":
            fields["duration"] = str(round(media.seconds * 1000))
        file = ("file", name, found.type or "application/octet-stream", found.content)
        return message, await self._key("/open-apis/im/v1/files", file, fields, "file_key")

    async def _read(self, media: Media, most: int, degrade: Degrade) -> Bytes | None:
        """None if there is only a link."""
        try:
            return await degrade.media.read(media, most)
        except Problem:
            await degrade.media.link(media)  # raises if there is none either
            return None

    async def _key(self, path: str, file: tuple[str, str, str, bytes], fields: dict[str, str], name: str) -> str:
        key = (await self._api.upload(path, file, fields)).get(name)
        if not isinstance(key, str) or not key:
            raise Problem(Outcome.UNKNOWN, f"the answer has no {name}")
        return key


def _types(content: File | Audio | Video, name: str, found: Bytes) -> tuple[str, str]:
    """The types of the message and of the file: sounds must be Opus, videos MP4."""
    ending = name.rpartition(".")[2].lower()
    if isinstance(content, Audio) and (found.type == "audio/opus" or ending == "opus"):
        return "audio", "opus"
    if isinstance(content, Video) and (found.type == "video/mp4" or ending == "mp4"):
        return "media", "mp4"
    return "file", FILE_TYPES.get(ending, "stream")
