"""Files: beginning an upload, taking what comes, giving it out, forgetting what never arrived.

A link to a file is all that is needed to read it: its key has 190 random bits. Whoever may upload is told one, and
nobody can list those of others.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
import secrets
import string
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from hongyan import errors
from hongyan.engine import file_types, thumbnails
from hongyan.engine.clock import Clock
from hongyan.engine.ports import Blobs, FileStore
from hongyan.engine.thumbnails import Facts, Picture, Wish
from hongyan.engine.values import App, Arrival, File, FileQuery, new_object_id
from hongyan.errors import Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long an upload may wait to begin (ms), and how long a file that has not arrived is remembered.
TOKEN_TTL, UNFINISHED_TTL = 3_600_000, 86_400_000
#: How often those are looked for (s), and how many at once.
SWEEP_EVERY, SWEEP_STEP = 600.0, 100
_LETTERS = string.ascii_letters + string.digits
_TOKEN_LENGTH = 32
#: A key that a file had elsewhere and may keep: as long as what nobody guesses; and the beginning of one of ours.
_KEPT = re.compile(r"[A-Za-z0-9_-]{20,}(\.[A-Za-z0-9]{1,10})?(/(?P<name>.{1,255}))?")
_TOKEN = re.compile(r"[A-Za-z0-9]{32}")
_EXTENSION = re.compile(r".+\.([A-Za-z0-9]{1,10})")
#: What can't stand in the last part of a URL's path, or should not in a name that somebody saves a file by.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]")
#: An address may upload so many files at once, as a part of all that may.
SHARES = 4
#: Bytes of a file of which thumbnails are made, and different ones that are kept of one file.
IMAGE_MAX, KEPT_MAX = 33_554_432, 32
#: Thumbnails made at once, and wanted at once.
MAKERS, WANTED_MAX = 2, 64
PARTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What an uploader says of a file."""

    name: str
    mime_type: str | None
    meta: dict[str, Any]
    acl: dict[str, Any] | None = None
    keep_name: bool = False


class Files:
    """`uploads` may arrive at once; an image of which there are thumbnails has at most `pixels`."""

    def __init__(self, store: FileStore, blobs: Blobs, clock: Clock, secret: bytes, uploads: int, pixels: int) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._key = hmac.digest(secret, b"files", "sha256")
        self._uploads = uploads
        self._pixels = pixels
        self._arriving: dict[str, str] = {}  # where each comes from
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="thumbnails")
        self._free_makers = asyncio.Semaphore(MAKERS)
        self._wanted: dict[str, asyncio.Task[Any]] = {}

    # what is known of files

    async def begin(self, app: App, draft: Draft) -> tuple[File, str]:
        """A file that is to arrive, and the token that its upload needs. Raises Refused."""
        mime_type = draft.mime_type or file_types.of_name(draft.name)
        self._check(app, mime_type, draft.meta.get("size"))
        now = self._clock.now()
        file = File(
            app_key=app.key,
            id=new_object_id(),
            name=draft.name,
            mime_type=mime_type,
            created_at=now,
            updated_at=now,
            key=new_key(draft.name, draft.keep_name),
            meta=draft.meta,
            acl=draft.acl,
        )
        await self._store.insert(file)
        return file, self._token(file, now + TOKEN_TTL)

    async def register(self, app: App, draft: Draft, url: str) -> File:
        """A file that is elsewhere."""
        now = self._clock.now()
        file = File(
            app_key=app.key,
            id=new_object_id(),
            name=draft.name,
            mime_type=draft.mime_type or file_types.of_name(draft.name),
            created_at=now,
            updated_at=now,
            url=url,
            meta=draft.meta,
            acl=draft.acl,
        )
        await self._store.insert(file)
        return file

    async def get(self, app: App, file_id: str) -> File | None:
        """A file that has arrived or is elsewhere."""
        file = await self._store.get(app.key, file_id)
        return file if file is not None and file.is_whole else None

    async def find(self, app: App, query: FileQuery) -> list[File]:
        return await self._store.find(app.key, query)

    async def count(self, app: App, query: FileQuery) -> int:
        return await self._store.count(app.key, query)

    async def delete(self, app: App, file_id: str) -> None:
        """Nothing happens if there is no such file. The bytes go first: if they can't, the file is still known."""
        file = await self._store.get(app.key, file_id)
        if file is not None:
            await self._forget(file)

    # arriving

    async def of_token(self, app: App | None, token: str) -> File:
        """The file that a token lets arrive, whether it has or not. Raises Refused(FILE_UPLOAD_REFUSED)."""
        about, _, mac = token.rpartition("-")
        if not hmac.compare_digest(mac.encode(), self._mac("upload", about).encode()):
            raise Refused(errors.FILE_UPLOAD_REFUSED, "this is no token of an upload")
        app_key, file_id, expires_at = about.split("-")
        file = await self._store.get(int(app_key), file_id)
        if file is None or (app is not None and app.key != file.app_key):
            raise Refused(errors.FILE_UPLOAD_REFUSED, "this upload is over")
        if int(expires_at) <= self._clock.now() and not file.is_whole:
            raise Refused(errors.FILE_UPLOAD_REFUSED, "the token has expired")
        return file

    async def receive(self, app: App, file: File, content: AsyncIterator[bytes], where: str) -> File:
        """Take what comes from an address as the file's bytes: all of it, or nothing is there. Raises Refused.

        The same bytes again are fine, since a caller may have missed the answer; others are Refused(FILE_EXISTS).
        """
        arriving = _Arriving(app, file, content)
        if not file.is_whole:
            async with self._arrives(file, where) as file:
                if not file.is_whole:
                    await self._blobs.put(original(file), arriving.pieces())
                    return await self._finish(file, arriving.arrival)
        await self._compare(file, arriving)
        return file

    async def receive_part(self, app: App, file: File, number: int, content: AsyncIterator[bytes], where: str) -> str:
        """Keep a part of a file that comes in parts, and tell its MD5. Raises Refused."""
        async with self._arrives(file, where) as file:
            if file.is_whole:
                raise Refused(errors.FILE_EXISTS, "this file has been uploaded already")
            _, parts = await self._blobs.measure(_parts_folder(file))
            arriving = _Arriving(app, file, content, others=parts)
            await self._blobs.put(_part(file, number), arriving.pieces())
        return arriving.md5

    async def join(self, app: App, file: File, numbers: list[int], where: str) -> File:
        """Make the file of its parts, in this order. Raises Refused(FILE_NOT_FOUND) if one is missing."""
        if not file.is_whole:
            file = await self.receive(app, file, self._parts(file, numbers), where)
        await self._blobs.delete(_parts_folder(file))
        return file

    async def give_up(self, file: File) -> None:
        """Forget a file that has not arrived; one that has stays, and so does one that is arriving."""
        if file.id in self._arriving:
            return
        async with self._held(file) as known:
            if known is not None and not known.is_whole:
                await self._forget(known)

    @contextlib.asynccontextmanager
    async def _arrives(self, file: File, where: str) -> AsyncIterator[File]:
        """One address can't keep all others out by sending slowly."""
        if file.id in self._arriving:
            raise Refused(errors.FILE_EXISTS, "this file is being uploaded")
        if len(self._arriving) >= self._uploads:
            raise Refused(errors.FILES_BUSY, f"{self._uploads} files are being uploaded")
        share = max(1, self._uploads // SHARES)
        if list(self._arriving.values()).count(where) >= share:
            raise Refused(errors.FILES_BUSY, f"{share} files are being uploaded from this address")
        async with self._held(file, where) as known:
            if known is None:
                raise Refused(errors.FILE_UPLOAD_REFUSED, "this upload is over")
            yield known

    @contextlib.asynccontextmanager
    async def _held(self, file: File, where: str = "") -> AsyncIterator[File | None]:
        """The file as it is now: it may have arrived, or have been forgotten, since the caller has read its row."""
        self._arriving[file.id] = where
        try:
            yield await self._store.get(file.app_key, file.id)
        finally:
            del self._arriving[file.id]

    async def _finish(self, file: File, arrival: Arrival) -> File:
        try:
            return await self._store.finish(file, arrival, self._clock.now())
        except Refused as refusal:
            if refusal.kind is not errors.FILE_EXISTS:
                await self._blobs.delete(_folder(file))
            raise

    async def _compare(self, file: File, arriving: "_Arriving") -> None:
        async for _ in arriving.pieces():
            pass
        if file.md5 != arriving.md5:
            raise Refused(errors.FILE_EXISTS, "this file has been uploaded already, with other content")

    async def _parts(self, file: File, numbers: list[int]) -> AsyncIterator[bytes]:
        for number in numbers:
            async for piece in self._blobs.get(_part(file, number)):
                yield piece

    def _check(self, app: App, mime_type: str, size: object) -> None:
        if not file_types.allows(app.settings.file_types, mime_type):
            raise Refused(errors.FILE_TYPE_REFUSED, f"the type {mime_type} is not taken")
        if isinstance(size, int) and size > app.settings.file_max:
            raise _too_large(app)

    # giving out

    async def of_key(self, key: str, signature: str | None, app_of: Callable[[int], App | None]) -> File:
        """The file at the end of a URL, if it may be read. Raises Refused: FILE_NOT_FOUND, FILE_LINK_EXPIRED."""
        file = await self._store.by_key(key)
        app = app_of(file.app_key) if file is not None else None
        if file is None or app is None or not file.is_whole:
            raise Refused(errors.FILE_NOT_FOUND, "there is no such file")
        if app.settings.file_link_ttl and not self._is_good(key, signature):
            raise Refused(errors.FILE_LINK_EXPIRED, "this link is not good any more")
        return file

    def link(self, app: App, key: str, least: int = 0) -> str:
        """The path of a file's URL below the address of all files: its key, behind a signature if the app wants one.

        It is good for so many seconds at least.

        The signature stands in the path, for SDKs append the wish for a thumbnail to the URL.
        """
        ttl = app.settings.file_link_ttl
        if not ttl:
            return key
        expires_at = self._clock.now() // 1000 + max(ttl, least)
        return f"~{expires_at}.{self._mac('link', f'{expires_at}-{key}')}/{key}"

    def read(self, file: File, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` to before `end`."""
        return self._blobs.get(original(file), start, end)

    async def thumbnail(self, file: File, wish: Wish) -> Picture:
        """A smaller picture of an image, made once. Raises Refused: IMAGE_REFUSED, FILES_BUSY."""
        name = f"{_folder(file)}/thumbnails/{wish.name}"
        return await self._once(name, lambda: self._thumbnail(file, wish, name))

    async def facts(self, file: File) -> Facts:
        """What there is to know of an image. Raises Refused: IMAGE_REFUSED, FILES_BUSY."""
        return await self._once(
            f"{_folder(file)}/facts",
            lambda: self._of_image(file, lambda content: thumbnails.facts(content, self._pixels)),
        )

    async def _once(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What one of those who want the same at once has begun is for all of them."""
        task = self._wanted.get(name)
        if task is None:
            if len(self._wanted) >= WANTED_MAX:
                raise Refused(errors.FILES_BUSY, "many thumbnails are being made")
            task = self._wanted[name] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._forget_wanted(name, done))
        result: T = await asyncio.shield(task)
        return result

    def _forget_wanted(self, name: str, task: asyncio.Task[Any]) -> None:
        del self._wanted[name]
        if not task.cancelled():
            task.exception()  # has been told to whoever still waited

    async def _thumbnail(self, file: File, wish: Wish, name: str) -> Picture:
        kept = await self._kept(name)
        if kept is not None:
            return kept
        made = await self._of_image(file, lambda content: thumbnails.make(content, wish, self._pixels))
        number, _ = await self._blobs.measure(f"{_folder(file)}/thumbnails")
        if number < KEPT_MAX:
            with contextlib.suppress(Refused):  # it can be made again
                await self._blobs.put(name, _one(made.mime_type.encode() + b"\n" + made.content))
            if await self._store.get(file.app_key, file.id) is None:
                await self._blobs.delete(_folder(file))  # the file has been deleted meanwhile
        return made

    async def _kept(self, name: str) -> Picture | None:
        try:
            whole = b"".join([piece async for piece in self._blobs.get(name)])
        except Refused as refusal:
            if refusal.kind is errors.FILE_NOT_FOUND:
                return None
            raise
        mime_type, _, content = whole.partition(b"\n")
        return Picture(content, mime_type.decode())

    async def _of_image(self, file: File, work: Callable[[bytes], T]) -> T:
        """In memory are only the images that are being worked on."""
        if file.size is None or not 0 < file.size <= IMAGE_MAX:
            raise Refused(errors.IMAGE_REFUSED, f"only an image of at most {IMAGE_MAX} bytes has thumbnails")
        async with self._free_makers:
            content = b"".join([piece async for piece in self.read(file, 0, file.size)])
            return await asyncio.get_running_loop().run_in_executor(self._makers, work, content)

    # signatures

    def _token(self, file: File, expires_at: int) -> str:
        about = f"{file.app_key}-{file.id}-{expires_at}"
        return f"{about}-{self._mac('upload', about)}"

    def _is_good(self, key: str, signature: str | None) -> bool:
        expires_at, _, mac = (signature or "").partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac("link", f"{expires_at}-{key}").encode()):
            return False
        return int(expires_at) > self._clock.now() // 1000

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose} {text}".encode(), "sha256").hexdigest()[:40]

    def close(self) -> None:
        """Make no more thumbnails."""
        self._makers.shutdown(wait=False, cancel_futures=True)

    # sweeping

    async def run(self) -> None:
        """Forget, again and again until cancelled, what was begun and has never arrived."""
        try:
            await self._blobs.clean()
        except Exception:
            log.exception("what was half-written could not be deleted")
        while True:
            try:
                await self.sweep()
            except Refused as refusal:
                log.warning("unfinished uploads could not be deleted: %s", refusal.detail)
            except Exception:
                log.exception("unfinished uploads could not be deleted")
            await asyncio.sleep(SWEEP_EVERY)

    async def sweep(self) -> int:
        """Forget what should have arrived by now; how many that was."""
        count = 0
        before = self._clock.now() - UNFINISHED_TTL
        while late := [
            file for file in await self._store.unfinished(before, SWEEP_STEP) if file.id not in self._arriving
        ]:
            for file in late:
                await self.give_up(file)
            count += len(late)
        return count

    async def _forget(self, file: File) -> None:
        if file.key is not None:
            await self._blobs.delete(_folder(file))
        await self._store.delete(file)


class _Arriving:
    """What comes, counted and looked at on its way; it ends with Refused rather than be what is not wanted.

    `others` are the bytes of the other parts, if this is a part of a file.
    """

    def __init__(self, app: App, file: File, content: AsyncIterator[bytes], *, others: int | None = None) -> None:
        self._app = app
        self._file = file
        self._content = content
        self._others = others
        self._digest = hashlib.md5(usedforsecurity=False)
        self._head = b""
        self._size = 0
        self._detected: str | None = None

    @property
    def md5(self) -> str:
        return self._digest.hexdigest()

    @property
    def arrival(self) -> Arrival:
        return Arrival(self._size, self.md5, self._detected)

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._content:
            self._size += len(piece)
            if self._size + (self._others or 0) > self._app.settings.file_max:
                raise _too_large(self._app)
            self._digest.update(piece)
            if len(self._head) < file_types.HEAD:
                self._head += piece[: file_types.HEAD - len(self._head)]
            yield piece
        if self._others is None:
            await self._look()

    async def _look(self) -> None:
        """At the end, before it is kept."""
        announced = self._file.meta.get("_checksum")
        if isinstance(announced, str) and announced and announced.lower() != self.md5:
            raise Refused(errors.FILE_DAMAGED, "the content has another MD5 than `_checksum`")
        if self._head:
            self._detected = await asyncio.to_thread(file_types.of_bytes, self._head)
        if file_types.contradicts(self._app.settings.file_types, self._file.mime_type, self._detected):
            raise Refused(errors.FILE_TYPE_REFUSED, f"the content is {self._detected}")


def clean_name(name: str) -> str:
    """A name by which a file can be saved anywhere."""
    return _UNSAFE.sub("_", name).strip(" .") or "file"


def may_read(acl: Mapping[str, Any] | None) -> bool:
    """Whether what is known of a file may be told to everybody who has the app's key."""
    if acl is None:
        return True
    everybody = acl.get("*")
    return isinstance(everybody, dict) and everybody.get("read") is True


def new_key(name: str, keep_name: bool) -> str:
    token = "".join(secrets.choice(_LETTERS) for _ in range(_TOKEN_LENGTH))
    if keep_name:
        return f"{token}/{clean_name(name)}"
    extension = _EXTENSION.fullmatch(name)
    return f"{token}.{extension[1]}" if extension else token


def kept_key(key: str) -> bool:
    """Whether a key that a file had elsewhere may stay: it can't be guessed, and its URL is one of ours."""
    found = _KEPT.fullmatch(key)
    return found is not None and (found["name"] is None or clean_name(found["name"]) == found["name"])


def same_place(key: str) -> tuple[str, str]:
    """From which to before which text keys stand whose bytes could lie in one place with those of this one."""
    return key[:_TOKEN_LENGTH], key[:_TOKEN_LENGTH] + "\U0010ffff"


def _folder(file: File) -> str:
    """The names of a file's bytes begin so: with the letters of its key, or what is made of one from elsewhere."""
    assert file.key is not None
    token = file.key[:_TOKEN_LENGTH]
    if not _TOKEN.fullmatch(token):
        token = hashlib.sha256(file.key.encode()).hexdigest()[:_TOKEN_LENGTH]
    return f"{file.app_key}/{token[:2]}/{token}"


def original(file: File) -> str:
    return f"{_folder(file)}/original"


def _parts_folder(file: File) -> str:
    return f"{_folder(file)}/parts"


def _part(file: File, number: int) -> str:
    return f"{_parts_folder(file)}/{number}"


def _too_large(app: App) -> Refused:
    return Refused(errors.FILE_TOO_LARGE, f"a file has at most {app.settings.file_max} bytes")


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content
