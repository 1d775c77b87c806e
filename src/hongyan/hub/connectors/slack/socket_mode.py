"""Hearing Slack by a connection of our own (Socket Mode), where it can reach no address of ours."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from hongyan.hub.connector import Event, Outcome, Problem, nothing_said
from hongyan.hub.connectors.slack.credentials import BASE, SlackCredentials
from hongyan.hub.connectors.slack.errors import judge
from hongyan.hub.connectors.slack.inbound import read_object
from hongyan.hub.http import Http
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.websocket import Websocket, connected, keep_listening

#: What an operator does about a token that opens nothing, and about a mode that is off.
_TOKEN = (
    "Make an app-level token (xapp-…) with the scope connections:write on the app's page, and give it as app_token."
)
_OFF = "Switch on Socket Mode on the app's page, or take app_token from the channel."

_log = structlog.get_logger(__name__)

#: What a body tells. Raises Problem.
Read = Callable[[Mapping[str, Any]], Awaitable[tuple[Event, ...]]]
Tell = Callable[[Event], Awaitable[None]]


class SocketMode:
    """A frame is acknowledged when all that it tells is kept: one that is not comes again."""

    def __init__(self, credentials: SlackCredentials, around: Surroundings, read: Read) -> None:
        self._http = Http(around.outbound, credentials.base_url or BASE)
        self._token = credentials.app_token
        self._around = around
        self._read = read

    async def run(self, tell: Tell) -> None:
        """Until it is cancelled, connection after connection. Raises Problem if the token is no good."""
        await keep_listening(lambda: self._listen(tell), self._around.steady)

    async def open(self) -> str:
        """The address of a connection, good once. Raises Problem."""
        try:
            with nothing_said():
                headers = {"Authorization": f"Bearer {self._token}"}
                answer = judge(await self._http.call("POST", "/api/apps.connections.open", headers=headers))
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CREDENTIAL:
                problem.advice = _TOKEN
            raise
        url = answer.get("url")
        if not isinstance(url, str):
            raise Problem(Outcome.TRANSIENT, "Slack gives no address of a connection")
        return url

    async def _listen(self, tell: Tell) -> None:
        """Until the connection is closed, or Slack wants another one."""
        async with connected(self._around.outbound, await self.open()) as socket:
            while (raw := await socket.receive()) is not None:
                frame = _frame(raw)
                if frame.get("type") == "disconnect":
                    _check_mode(frame)
                    return
                if isinstance(frame.get("envelope_id"), str):
                    await self._take(frame, socket, tell)

    async def _take(self, frame: Mapping[str, Any], socket: Websocket, tell: Tell) -> None:
        payload = frame.get("payload")
        try:
            for event in await self._read(payload if isinstance(payload, dict) else {}):
                await tell(event)
        except Problem as problem:
            _log.warning("slack_event_refused", type=frame.get("type"), reason=problem.reason)
        except Exception:
            _log.exception("slack_event_failed", type=frame.get("type"))
        else:
            socket.send(msgspec.json.encode({"envelope_id": frame["envelope_id"]}))


def _frame(raw: bytes) -> Mapping[str, Any]:
    """One that can't be read tells nothing."""
    try:
        return read_object(raw)
    except Problem:
        _log.warning("slack_frame_unreadable")
        return {}


def _check_mode(frame: Mapping[str, Any]) -> None:
    """Raises Problem if the connection ends because none is wanted."""
    if frame.get("reason") == "link_disabled":
        reason = "Socket Mode is off for the app"
        raise Problem(Outcome.BAD_CREDENTIAL, reason, code="link_disabled", advice=_OFF, everybody=True)
