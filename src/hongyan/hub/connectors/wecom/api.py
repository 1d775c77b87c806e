"""Calling WeCom as an application: the token, which all calls share, the rates of interfaces, and what answers mean."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hongyan.hub.connector import Outcome, Problem, nothing_said
from hongyan.hub.connectors.credentials import account
from hongyan.hub.connectors.wecom.credentials import BASE, AppCredentials
from hongyan.hub.connectors.wecom.errors import LONG_WINDOW, TOKEN_CODES, WINDOW, judge
from hongyan.hub.http import Answer, Http, lifetime
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Bytes, Surroundings
from hongyan.tokens import Token, Tokens

#: Calls of one interface in a minute; a tenth below WeCom's number.
CALLS_MINUTE = 9000
#: A token is renewed so long before it ends (s).
EARLY = 300.0


class Api:
    """`account` names the application in rates."""

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        given = credentials
        self.account = ("wecom", account(given.base_url, given.corp_id, given.agent_id, given.secret))
        self._http = Http(around.outbound, credentials.base_url or BASE)
        self._tokens = Tokens(self._fetch_token, around.steady)
        self._blocked: dict[str, float] = {}

    async def get(self, path: str, query: Mapping[str, str], **options: Any) -> Answer:
        """`options` are those of `Http.call`. Raises Problem."""
        return await self._call(
            lambda token: self._http.get(path, {**token, **query}, **options), path.removeprefix("/cgi-bin/")
        )

    async def post(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """The whole answer. Raises Problem."""
        answer = await self._call(lambda token: self._http.post(path, value, token), path.removeprefix("/cgi-bin/"))
        return answer.json or {}

    async def upload(self, type_: str, file: Bytes) -> str:
        """As image, voice, video or file: its media id. Raises Problem."""
        sent = ("media", file.name or type_, file.type or "application/octet-stream", file.content)
        with nothing_said():
            answer = await self._call(
                lambda token: self._http.upload("/cgi-bin/media/upload", sent, query={**token, "type": type_}),
                "media/upload",
            )
            return named(answer.json, "media_id")

    async def close(self) -> None:
        await self._tokens.close()

    async def _call(self, ask: Callable[[dict[str, str]], Awaitable[Answer]], interface: str) -> Answer:
        """With a token, and once more with a new one if WeCom does not take it. The answer says that all is well."""
        limit = Limit((*self.account, "interface", interface), CALLS_MINUTE, 60.0)
        self._around.rates.take(limit, everybody=True)
        token = await self._tokens.get()
        try:
            return self._judged(await ask({"access_token": token}), token)
        except Problem as problem:
            if problem.code not in map(str, TOKEN_CODES):
                raise self._blocking(problem, interface, limit) from None
        self._tokens.void(token)
        token = await self._tokens.get()
        try:
            return self._judged(await ask({"access_token": token}), token)
        except Problem as problem:
            raise self._blocking(problem, interface, limit) from None

    def _judged(self, answer: Answer, token: str) -> Answer:
        judge(answer, (self._credentials.secret, token))
        return answer

    def _blocking(self, problem: Problem, interface: str, limit: Limit) -> Problem:
        """WeCom blocks an interface for a minute, or longer if that was not enough; the text does not say which."""
        if problem.code == "45009":
            now = self._around.steady()
            again = now - self._blocked.get(interface, -LONG_WINDOW) < 2 * WINDOW
            self._blocked[interface] = now
            problem.after = LONG_WINDOW if again else WINDOW
            self._around.rates.close(limit.key, problem.after)
        return problem

    async def _fetch_token(self) -> Token:
        asked = {"corpid": self._credentials.corp_id, "corpsecret": self._credentials.secret}
        limit = Limit((*self.account, "interface", "gettoken"), CALLS_MINUTE, 60.0)
        self._around.rates.take(limit, everybody=True)
        with nothing_said():
            answer = await self._http.get("/cgi-bin/gettoken", asked)
            try:
                told = judge(answer, (self._credentials.secret,))
            except Problem as problem:
                raise self._blocking(problem, "gettoken", limit) from None
            token, life = told.get("access_token"), told.get("expires_in")
            if not isinstance(token, str) or not token or not isinstance(life, int):
                raise Problem(Outcome.UNKNOWN, "WeCom's answer has no token", everybody=True)
        return Token(token, self._around.steady() + max(lifetime(life, 7200.0) - EARLY, 60.0))


def named(answer: Mapping[str, Any] | None, name: str) -> str:
    """A text of WeCom's answer. Raises Problem if it is not there."""
    found = (answer or {}).get(name)
    if not isinstance(found, str) or not found:
        raise Problem(Outcome.UNKNOWN, f"WeCom's answer has no {name}")
    return found
