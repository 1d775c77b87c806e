"""Where the gateway is: a look-up over HTTP, kept for as long as the answer says; or a fixed address."""

import ssl
import time
from typing import Any

import httpx

from hongyan_client.errors import ABNORMAL, ConnectionLost, HongyanError

#: Seconds.
TIMEOUT = 20.0
TTL_DEFAULT = 3600.0


class Router:
    """Gives addresses in turn. `server` is the address of the HTTP port, or a `ws://` address of the gateway."""

    def __init__(self, server: str, app_id: str, app_key: str, tls: ssl.SSLContext | None) -> None:
        self.base = server.rstrip("/") if server.startswith(("http://", "https://")) else None
        if self.base is None and not server.startswith(("ws://", "wss://")):
            raise ValueError("the server's address starts with http://, https://, ws:// or wss://")
        self._app_id = app_id
        self._headers = {"X-LC-Id": app_id, "X-LC-Key": app_key}
        self._tls = tls
        self._addresses = [] if self.base else [server]
        self._until = 0.0 if self.base else float("inf")
        self._turn = 0

    async def next(self) -> str:
        """The address to try. Raises ConnectionLost and HongyanError."""
        if self._is_stale():
            try:
                await self._look_up()
            except ConnectionLost:
                if not self._addresses:
                    raise
                self._turn = 0  # the gateway may be reachable where it was
        address = self._addresses[self._turn % len(self._addresses)]
        self._turn += 1
        return address

    def connected(self) -> None:
        """The last address is a good one: it is the first of the next round."""
        self._turn -= 1

    def forget(self) -> None:
        """Asks again next time."""
        if self.base is not None:
            self._until = 0.0

    async def get(self, path: str, parameters: dict[str, str | int], headers: dict[str, str]) -> Any:
        """The JSON answer of the HTTP port. Raises ConnectionLost and HongyanError."""
        # to read the certificates of this machine takes long, and http:// needs none
        verify = self._tls or str(self.base).startswith("https://")
        try:
            async with httpx.AsyncClient(verify=verify, timeout=TIMEOUT) as http:
                answer = await http.get(f"{self.base}{path}", params=parameters, headers=self._headers | headers)
        except httpx.HTTPError as error:
            raise ConnectionLost(ABNORMAL, "CLOSE_ABNORMAL", f"{self.base}{path}: {error or type(error)}") from error
        body = _json(answer)
        if answer.status_code >= 500:
            raise ConnectionLost(ABNORMAL, "CLOSE_ABNORMAL", f"{self.base}{path} answered {answer.status_code}")
        if answer.is_error or not isinstance(body, dict):
            told = body if isinstance(body, dict) else {}
            raise HongyanError(_int(told.get("code"), answer.status_code), "HTTP_ERROR", str(told.get("error", "")))
        return body

    def _is_stale(self) -> bool:
        """After the time given, and when every address was tried in vain."""
        if self.base is None:
            return False
        return time.monotonic() >= self._until or self._turn >= len(self._addresses)

    async def _look_up(self) -> None:
        body = await self.get("/v1/route", {"appId": self._app_id, "secure": 1}, {})
        found = [body[name] for name in ("server", "secondary") if isinstance(body.get(name), str) and body[name]]
        if not found:
            raise HongyanError(0, "INVALID_ROUTE", f"{self.base}/v1/route named no address")
        ttl = body.get("ttl")
        self._addresses = list(dict.fromkeys(found))
        self._until = time.monotonic() + (ttl if isinstance(ttl, int | float) else TTL_DEFAULT)
        self._turn = 0


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
