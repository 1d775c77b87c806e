"""The files of messages: where connectors read them, and under which address others do."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from hongyan import errors
from hongyan.engine import file_types
from hongyan.engine.files import Draft, Files, clean_name
from hongyan.engine.values import App, File
from hongyan.errors import Refused
from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.content import Media
from hongyan.hub.surroundings import Bytes
from hongyan.outbound import Outbound, OutboundError, Unreachable

#: Where files are below an address of ours (`hongyan.api.files`).
PATH = "/files"
#: How long fetching takes (s), and how long a link is good at least (s).
TIMEOUT, LINK_TTL = 60.0, 7 * 86_400
NO_ADDRESS = "Set `public_url` to where the internet reaches this server."


_for_strangers: ContextVar[bool] = ContextVar("for_strangers", default=False)


@contextmanager
def for_strangers(strangers: bool) -> Iterator[None]:
    """What is read within is at addresses that clients have given, for whom `allowed_private` is not meant."""
    before = _for_strangers.set(strangers)
    try:
        yield
    finally:
        _for_strangers.reset(before)


class Addresses(NamedTuple):
    """Where the server is: `public` for everybody, None where nobody has said; `own` at least on this machine.

    `files` is where files are, if that is another place.
    """

    public: str | None
    own: str
    files: str | None = None


class AppMedia:
    """The files of one app. `addresses` are asked with each link, as the port is known late."""

    def __init__(
        self,
        files: Files,
        outbound: Outbound,
        app_of: Callable[[int], App | None],
        app_key: int,
        addresses: Callable[[], Addresses],
    ) -> None:
        self._files = files
        self._outbound = outbound
        self._app_of = app_of
        self._app_key = app_key
        self._addresses = addresses

    async def read(self, media: Media, most: int) -> Bytes:
        """Raises Problem(BAD_CONTENT) if it is too large or not there, TRANSIENT if nobody answers."""
        file = await self._uploaded(media)
        if file is None or file.url is not None:
            url = media.url if file is None else file.url
            assert url is not None
            return await self._fetched(media, url, most)
        assert file.size is not None
        if file.size > most:
            raise _bad(f"the file {file.name} has more than {most:,} bytes")
        try:
            content = b"".join([piece async for piece in self._files.read(file, 0, file.size)]) if file.size else b""
        except Refused as refusal:
            raise _bad(refusal.detail) from None
        return Bytes(media.name or file.name, media.type or file.mime_type, content)

    async def link(self, media: Media) -> str:
        """For everybody, for some days. Raises Problem(BAD_CONTENT)."""
        public = self._addresses().files or self._addresses().public
        if media.file and public is None:
            raise Problem(Outcome.BAD_CONTENT, "nobody outside can read a file of this server", advice=NO_ADDRESS)
        return await self._link(media, public or "")

    async def own_link(self, media: Media) -> str:
        """For the app's clients. Raises Problem(BAD_CONTENT)."""
        return await self._link(media, self._own())

    async def keep(self, name: str, type_: str, content: bytes) -> tuple[File, str]:
        """Keep what came from elsewhere as a file of the app; its address for clients. Raises Refused."""
        app = self._app()
        draft = Draft(clean_name(name), type_ if file_types.is_type(type_) else None, {"size": len(content)})
        file, _ = await self._files.begin(app, draft)
        file = await self._files.receive(app, file, _one(content), "")
        return file, self._url(file, self._own())

    def _own(self) -> str:
        found = self._addresses()
        return found.files or found.own

    async def _link(self, media: Media, base: str) -> str:
        if not media.file:
            return media.url
        file = await self._uploaded(media)
        assert file is not None
        return file.url or self._url(file, base)

    def _url(self, file: File, base: str) -> str:
        assert file.key is not None
        link = self._files.link(self._app(), file.key, LINK_TTL)
        return f"{base.rstrip('/')}{PATH}/{quote(link, safe='/~')}"

    async def _uploaded(self, media: Media) -> File | None:
        """A file of ours: of this app by its id, or by the address that only who may read it knows."""
        if media.file:
            file = await self._files.get(self._app(), media.file)
            if file is None:
                raise _bad(f"no file has the id {media.file[:64]}")
            return file
        _, mark, link = urlsplit(media.url).path.partition(f"{PATH}/")
        if not mark:
            return None
        signature, link = (None, unquote(link))
        if link.startswith("~"):
            signature, _, link = link[1:].partition("/")
        try:
            return await self._files.of_key(link, signature, self._app_of)
        except Refused:
            return None  # it is elsewhere, and looks like one of ours

    async def _fetched(self, media: Media, url: str, most: int) -> Bytes:
        try:
            answer = await self._outbound.request(
                "GET", url, headers={}, timeout=TIMEOUT, answer_max=most, public_only=_for_strangers.get()
            )
        except Unreachable as error:
            raise Problem(Outcome.TRANSIENT, f"a file can't be fetched: {error}") from None
        except OutboundError as error:
            raise _bad(f"a file can't be fetched: {error}") from None
        if answer.status != 200:
            raise _bad(f"a file can't be fetched: its address answers HTTP {answer.status}")
        name = media.name or unquote(urlsplit(url).path.rpartition("/")[2]) or "file"
        told = answer.headers.get("content-type", "").partition(";")[0].strip()
        type_ = media.type or (told if file_types.is_type(told) else file_types.of_name(name))
        return Bytes(clean_name(name), type_, answer.body)

    def _app(self) -> App:
        app = self._app_of(self._app_key)
        if app is None:
            raise Refused(errors.APP_NOT_AVAILABLE, "the app is gone")
        return app


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _bad(reason: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, reason)
