"""Files that were uploaded already: media ids are good for three days."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from hongyan.hub.connectors.wecom.rendering import Upload
from hongyan.hub.surroundings import Bytes

#: How long an id is used (s), and how many are remembered.
GOOD, KEPT = 2.5 * 86_400, 1000


class Uploads:
    """`upload` does it."""

    def __init__(self, upload: Upload, now: Callable[[], float]) -> None:
        self._upload = upload
        self._now = now
        self._ids: OrderedDict[tuple[str, str, bytes], tuple[str, float]] = OrderedDict()

    async def get(self, type_: str, file: Bytes) -> str:
        """The media id of a file, which is uploaded if it was not lately."""
        key = (type_, file.name, hashlib.sha256(file.content).digest())
        media_id, until = self._ids.get(key, ("", 0.0))
        if self._now() >= until:
            media_id = await self._upload(type_, file)
            self._ids[key] = (media_id, self._now() + GOOD)
            while len(self._ids) > KEPT:
                self._ids.popitem(last=False)
        return media_id
