"""Calling the engines of apps as LeanCloud does (REST reference 5.3, 5.4).

An engine is asked for the names of its functions at most every three minutes; what it is known not to have it is not
asked for. One that does not tell them is asked for each hook, and not again for three minutes if it has none.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

import hongyan
from hongyan.engine.clock import Clock
from hongyan.engine.questions import NOTHING, Answer, Editing, HookFailed, Question, Sending
from hongyan.engine.values import App
from hongyan.hooks import catalogue
from hongyan.outbound import Answer as HttpAnswer
from hongyan.outbound import Forbidden, Outbound, OutboundError, Unreachable, Unreadable

log = logging.getLogger(__name__)

FUNCTIONS = "/1.1/functions"
METADATAS = f"{FUNCTIONS}/_ops/metadatas"
#: For how long the names of an engine's functions are good (ms).
KNOWN_FOR = 180_000
#: Time for what is only told, and for the names (s).
TOLD_TIMEOUT, NAMES_TIMEOUT = 15.0, 5.0
#: Hooks of an app whose answers are waited for at once: in all, for one conversation, and for one client.
AT_ONCE, AT_ONCE_IN, AT_ONCE_BY = 128, 16, 8
#: An answer has the content of a message at most, and is read on the event loop (bytes).
ANSWER_MAX = 262_144
#: Answers of whoever stands before the engine while it does not run.
_AWAY = frozenset({502, 503, 504})
_NAMES_MAX = 10_000


class Found(NamedTuple):
    """What an engine says of itself: the names of its functions; None if it does not tell them."""

    names: frozenset[str] | None


@dataclass(slots=True, eq=False)
class _Engine:
    """What is known of the engine of an app, at this address."""

    url: str
    names: frozenset[str] | None = None
    asked_at: int | None = None
    missing: dict[str, int] = field(default_factory=dict)
    asking: asyncio.Task[None] | None = None


class Engines:
    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._engines: dict[int, _Engine] = {}
        self._gates = _Gates()

    def has_hook(self, app: App, kind: type[Question]) -> bool:
        return self.has(app, catalogue.NAMES[kind])

    def has(self, app: App, name: str) -> bool:
        """False if the engine is known not to have this hook. May be asked in any thread."""
        engine = self._engines.get(app.key)
        if engine is None or engine.url != app.settings.hook_url or engine.asked_at is None:
            return True
        if self._clock.now() - engine.asked_at >= KNOWN_FOR:
            return True
        names = engine.names  # read once: the event loop may replace it meanwhile
        return name in names if names is not None else name not in engine.missing

    async def ask(self, app: App, question: Question) -> Answer:
        name = catalogue.NAMES[type(question)]
        params = catalogue.params_of(question)
        try:
            async with asyncio.timeout(app.settings.hook_timeout):
                async with self._gates.passed(_gates(app, question)):
                    result = await self._call(app, name, params, app.settings.hook_timeout, secrets.token_hex(12))
        except TimeoutError:
            raise HookFailed(f"{name} took more than {app.settings.hook_timeout} s", answered=False) from None
        return NOTHING if result is None else catalogue.answer_of(question, result)

    async def tell(self, app: App, name: str, params: Mapping[str, Any], call_id: str) -> None:
        """Have the engine know what has happened; the id stays the same at each attempt. Raises HookFailed."""
        await self._call(app, name, params, TOLD_TIMEOUT, call_id)

    async def find(self, app: App) -> Found:
        """Ask the engine for its functions now. Raises HookFailed."""
        answer = await self._post(app, METADATAS, b"{}", NAMES_TIMEOUT, secrets.token_hex(12))
        return Found(_names(answer))

    async def stop(self) -> None:
        tasks = [engine.asking for engine in self._engines.values() if engine.asking is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, app: App, name: str, params: Mapping[str, Any], timeout: float, call_id: str) -> Any:
        """The value that a function returns; None, too, if there is no such function."""
        engine = self._known(app)
        if not self.has(app, name):
            return None
        answer = await self._post(app, f"{FUNCTIONS}/{name}", msgspec.json.encode(params), timeout, call_id)
        if _is_missing(answer):
            engine.missing[name] = self._clock.now()
            return None
        if answer.status != 200:
            away = answer.status in _AWAY
            raise HookFailed(f"{name} answers {answer.status}{_said(answer)}", answered=not away, away=away)
        return _result(name, answer.body)

    async def _post(self, app: App, path: str, body: bytes, timeout: float, call_id: str) -> HttpAnswer:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Hongyan/{hongyan.__version__}",
            "X-LC-Id": app.id,
            "X-LC-Key": f"{app.master_key},master",
            "X-LC-Hook-Key": app.hook_key,
            "X-LC-Prod": "1",
            "X-Request-Id": call_id,
        }
        try:
            return await self._outbound.request(
                "POST", app.settings.hook_url + path, headers=headers, body=body, timeout=timeout, answer_max=ANSWER_MAX
            )
        except OutboundError as error:
            answered = isinstance(error, Unreadable)
            away = isinstance(error, Unreachable | Forbidden)
            raise HookFailed(str(error), answered=answered, away=away) from None

    # the names of the functions

    def _known(self, app: App) -> _Engine:
        """What is known of the engine; if that is nothing, or old, its functions are asked for meanwhile."""
        engine = self._engines.get(app.key)
        if engine is None or engine.url != app.settings.hook_url:
            engine = self._engines[app.key] = _Engine(app.settings.hook_url)
        now = self._clock.now()
        if engine.asking is None and (engine.asked_at is None or now - engine.asked_at >= KNOWN_FOR):
            engine.names, engine.missing = None, {}
            engine.asked_at = now
            engine.asking = asyncio.get_running_loop().create_task(self._learn(app, engine))
        return engine

    async def _learn(self, app: App, engine: _Engine) -> None:
        try:
            engine.names = (await self.find(app)).names
        except HookFailed as failure:
            log.info("the engine of the app %s does not tell its functions: %s", app.id, failure)
        finally:
            engine.asking = None


def _gates(app: App, question: Question) -> dict[Hashable, int]:
    """Through how narrow gates a question goes, besides all others of its app: nobody may take all of the engine."""
    gates: dict[Hashable, int] = {}
    by = getattr(question, "sender", None) or getattr(question, "by", None)
    if by:
        gates[app.key, "by", by] = AT_ONCE_BY
    if isinstance(question, Sending | Editing):
        gates[app.key, "in", question.conversation.id] = AT_ONCE_IN
    gates[app.key] = AT_ONCE
    return gates


class _Gates:
    """Let so many through each gate at once; the others wait in order."""

    def __init__(self) -> None:
        self._gates: dict[Hashable, tuple[asyncio.Semaphore, list[int]]] = {}

    @asynccontextmanager
    async def passed(self, widths: Mapping[Hashable, int]) -> AsyncIterator[None]:
        """Through all of these, one after another."""
        async with AsyncExitStack() as stack:
            for key, width in widths.items():
                await stack.enter_async_context(self._pass(key, width))
            yield

    @asynccontextmanager
    async def _pass(self, key: Hashable, width: int) -> AsyncIterator[None]:
        gate, users = self._gates.setdefault(key, (asyncio.Semaphore(width), [0]))
        users[0] += 1
        try:
            async with gate:
                yield
        finally:
            users[0] -= 1
            if not users[0]:
                del self._gates[key]


def _is_missing(answer: HttpAnswer) -> bool:
    """Whether there is no such function: Python and Node say 404, Java 400 with the code as a string."""
    return answer.status == 404 or (answer.status == 400 and _object(answer.body).get("code") == "400")


def _result(name: str, body: bytes) -> Any:
    """An empty body is that of Java for what is only told."""
    if not body.strip():
        return None
    try:
        answered = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HookFailed(f"{name} does not answer JSON", answered=True) from None
    if not isinstance(answered, dict):
        raise HookFailed(f"{name} does not answer an object", answered=True)
    return answered.get("result")


def _names(answer: HttpAnswer) -> frozenset[str] | None:
    if answer.status != 200:
        return None
    names = _object(answer.body).get("result")
    if not isinstance(names, list) or len(names) > _NAMES_MAX or not all(isinstance(name, str) for name in names):
        return None
    return frozenset(names)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: HttpAnswer) -> str:
    error = _object(answer.body).get("error")
    return f": {error[:200]}" if isinstance(error, str) else ""
