"""What the Push Kits of Huawei and Honor have in common: a token by OAuth, and a message as JSON."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from hongyan.engine.pushing import Device, Outcome, Push
from hongyan.push import content
from hongyan.push.content import Notice
from hongyan.push.credentials import check_filled, check_number, check_url
from hongyan.push.http import Answer
from hongyan.push.service import FORM, JSON, TokenService, client_credentials
from hongyan.push.vendor import VendorCredentials
from hongyan.tokens import Token

PAYLOAD_MAX = 4_096
TTL_MAX = 1_296_000


class PushKitCredentials(VendorCredentials, frozen=True, kw_only=True):
    """`auth_url`: where tokens are, if not where the maker has them."""

    app_id: str
    client_secret: str
    auth_url: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "client_secret")
        check_number(self.app_id, "app_id")
        if self.auth_url is not None:
            check_url(self.auth_url, "auth_url")


class PushKit(TokenService):
    def __init__(
        self,
        title: str,
        url: str,
        auth_url: str,
        client: tuple[str, str],
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(now=now)
        self._title = title
        self._url = url
        self._auth_url = auth_url
        self._client = client

    async def _send(self, push: Push, device: Device) -> Outcome:
        notice = content.notice(push.content, self._title)
        ttl = f"{self._ttl(push, 1, TTL_MAX)}s"

        def made(title: str, body: str) -> dict[str, Any]:
            return self._message(push, notice, title, body, ttl)

        texts = content.fit(lambda *texts: content.packed(made(*texts)), notice.title, notice.body, PAYLOAD_MAX)
        body = content.packed(self._request(device.token, made(*texts)))

        async def ask(token: str) -> Answer:
            return await self._http.post(self._url, body, {**JSON, "Authorization": f"Bearer {token}", **self._extra()})

        return self._outcome(await self._with_token(ask, self._voids), device)

    @abstractmethod
    def _message(self, push: Push, notice: Notice, title: str, body: str, ttl: str) -> dict[str, Any]:
        """Without the address."""

    @abstractmethod
    def _request(self, token: str, message: dict[str, Any]) -> dict[str, Any]: ...

    @abstractmethod
    def _voids(self, answer: Answer) -> bool:
        """Whether the service takes the OAuth token no more."""

    @abstractmethod
    def _outcome(self, answer: Answer, device: Device) -> Outcome: ...

    def _extra(self) -> Mapping[str, str]:
        return {}

    async def _fetch(self) -> Token:
        answer = await self._http.post(self._auth_url, urlencode(client_credentials(*self._client)).encode(), FORM)
        given = answer.json()
        return self._token(given.get("access_token"), given.get("expires_in"), answer)
