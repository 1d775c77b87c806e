"""Interactive cards: made of a template that the app has, delivered to chats, and changed there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.dingtalk.answers import Refusal, fields, reply, v1_error
from hongyan.sandbox.dingtalk.world import APP_KEY, CARD_SECRET, GROUPS, PEOPLE, ROUTE_KEY


@dataclass
class Card:
    """An interactive card. `shown` are the ids of what stands on the board."""

    template: str
    params: dict[str, str]
    callback: str
    route: str
    shown: list[str] = field(default_factory=list)


class Cards:
    """`show` puts one on the board. `routes` are the addresses that were registered, and their secrets."""

    def __init__(self, board: Board, show: Callable[..., Shown]) -> None:
        self._board = board
        self._show = show
        self._cards: dict[str, Card] = {}
        self.routes: dict[str, tuple[str, str]] = {ROUTE_KEY: ("", CARD_SECRET)}

    def get(self, card_id: str) -> Card | None:
        return self._cards.get(card_id)

    async def create(self, request: web.Request) -> web.Response:
        return reply({"success": True, "result": self._new_card(await fields(request))})

    def _new_card(self, body: dict[str, Any]) -> str:
        card_id = body.get("outTrackId")
        params = (body.get("cardData") or {}).get("cardParamMap")
        if not card_id or not body.get("cardTemplateId"):
            raise Refusal(v1_error(400, "param.error", "outTrackId和cardTemplateId不能为空"))
        if not isinstance(params, dict) or not all(isinstance(each, str) for each in params.values()):
            raise Refusal(v1_error(400, "param.error", "cardParamMap的值必须是字符串"))
        callback = body.get("callbackType") or "HTTP"
        route = str(body.get("callbackRouteKey") or "")
        if callback == "HTTP" and route and route not in self.routes:
            raise Refusal(v1_error(400, "param.error", "callbackRouteKey未注册"))
        self._cards.setdefault(str(card_id), Card(body["cardTemplateId"], params, callback, route))
        return str(card_id)

    async def deliver(self, request: web.Request) -> web.Response:
        body = await fields(request)
        return reply({"success": True, "result": self._delivered(body)})

    async def create_and_deliver(self, request: web.Request) -> web.Response:
        body = await fields(request)
        card_id = self._new_card(body)
        return reply({"success": True, "result": {"outTrackId": card_id, "deliverResults": self._delivered(body)}})

    def _delivered(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """To each space that is named, once."""
        card_id = str(body.get("outTrackId"))
        card = self._cards.get(card_id)
        if card is None:
            raise Refusal(v1_error(400, "param.error", "卡片不存在"))
        results = []
        for space in str(body.get("openSpaceId") or "").split(";"):
            kind, _, chat = space.removeprefix("dtv1.card//").partition(".")
            error = self._space_error(kind, chat, body)
            shown_id = f"dingtalk-card-{card_id}-{chat}"
            if not error and shown_id not in card.shown:
                at = (body.get("imGroupOpenDeliverModel") or {}).get("atUserIds") or {}
                extra = {
                    "card": card_id,
                    "mentions": [n for u, n in at.items() if u != "@ALL"],
                    "everyone": "@ALL" in at,
                }
                payload = {"cardTemplateId": card.template, "cardParamMap": card.params}
                self._show(chat, "card", payload, extra, id=shown_id)
                card.shown.append(shown_id)
            results.append(
                {"spaceType": kind, "spaceId": chat, "success": not error, "errorMsg": error, "carrierId": ""}
            )
        return results

    def _space_error(self, kind: str, chat: str, body: dict[str, Any]) -> str:
        match kind:
            case "IM_GROUP":
                model = body.get("imGroupOpenDeliverModel") or {}
                if model.get("robotCode") != APP_KEY:
                    return "robotCode无效"
                return "" if chat in GROUPS else "群不存在"
            case "IM_ROBOT":
                if (body.get("imRobotOpenDeliverModel") or {}).get("spaceType") != "IM_ROBOT":
                    return "imRobotOpenDeliverModel无效"
                return "" if chat in PEOPLE else "用户不存在"
            case _:
                return "spaceType无效"

    async def update(self, request: web.Request) -> web.Response:
        body = await fields(request)
        params = (body.get("cardData") or {}).get("cardParamMap") or {}
        by_key = (body.get("cardUpdateOptions") or {}).get("updateCardDataByKey")
        self.changed(str(body.get("outTrackId")), params, whole=not by_key)
        return reply({"success": True, "result": True})

    async def streaming(self, request: web.Request) -> web.Response:
        body = await fields(request)
        key, content = str(body.get("key")), str(body.get("content", ""))
        card = self._cards.get(str(body.get("outTrackId")))
        before = "" if body.get("isFull") or card is None else card.params.get(key, "")
        self.changed(str(body.get("outTrackId")), {key: before + content}, whole=False)
        return reply({"success": True, "result": True})

    def changed(self, card_id: str, params: dict[str, str], *, whole: bool) -> None:
        card = self._cards.get(card_id)
        if card is None:
            raise Refusal(v1_error(400, "param.error", "卡片不存在"))
        if not all(isinstance(each, str) for each in params.values()):
            raise Refusal(v1_error(400, "param.error", "cardParamMap的值必须是字符串"))
        card.params = dict(params) if whole else {**card.params, **params}
        for each in card.shown:
            shown = self._board.get(each)
            if shown is not None:
                shown.payload["cardParamMap"] = card.params
                shown.state = "changed"
                self._board.changed(shown)

    async def register(self, request: web.Request) -> web.Response:
        body = await fields(request)
        key, url = str(body.get("callbackRouteKey") or ""), str(body.get("callbackUrl") or "")
        if not key or not url.startswith(("http://", "https://")):
            return v1_error(400, "param.error", "callbackRouteKey和callbackUrl不能为空")
        before = self.routes.get(key)
        if before is None or body.get("forceUpdate") or not before[0]:
            self.routes[key] = (url, str(body.get("apiSecret") or ""))
        url, secret = self.routes[key]
        return reply({"success": True, "result": {"callbackUrl": url, "apiSecret": secret}})
