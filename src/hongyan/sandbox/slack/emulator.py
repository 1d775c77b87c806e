"""Slack's methods and addresses, and what has each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What
from hongyan.sandbox.slack.answers import Arguments, Limited, Refusal, arguments, too_many
from hongyan.sandbox.slack.files import Files
from hongyan.sandbox.slack.interactions import Interactions
from hongyan.sandbox.slack.messages import Messages
from hongyan.sandbox.slack.people import People
from hongyan.sandbox.slack.rates import Bursts
from hongyan.sandbox.slack.socket_mode import APP_TOKEN, Sockets
from hongyan.sandbox.slack.telling import Telling
from hongyan.sandbox.slack.tokens import Tokens
from hongyan.sandbox.slack.webhook import Webhooks
from hongyan.sandbox.slack.world import (
    BOT,
    BOT_NAME,
    BOT_USER,
    CLIENT_ID,
    CLIENT_SECRET,
    SIGNING_SECRET,
    TEAM,
    TEAM_NAME,
    Workspace,
)


class Slack(Emulator):
    """The methods of the Web API, incoming webhooks, and addresses for files and answers."""

    platform = "slack"
    prefixes = ("/api/", "/services/", "/slack/")

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        self.workspace = workspace = Workspace()
        self.tokens = Tokens(now)
        bursts = Bursts(now)
        self._people = People(workspace)
        self._messages = Messages(board, workspace, bursts, now)
        self._files = Files(board, workspace, self.tokens, bursts, self._messages, lambda: self.origin)
        self.webhooks = Webhooks(workspace, bursts, self._messages)
        self._interactions = Interactions(board, workspace, self._messages, now, lambda: self.origin)
        self.sockets = Sockets()
        self.telling = Telling(board, workspace, self._messages, self._interactions, self.sockets, now)
        self._methods: dict[str, Callable[[Arguments], dict[str, Any]]] = {
            "api.test": lambda given: {"args": dict(given)},
            "auth.test": self._auth_test,
            "chat.postMessage": self._messages.post,
            "chat.postEphemeral": self._messages.post_ephemeral,
            "chat.update": self._messages.update,
            "chat.delete": self._messages.delete,
            "chat.getPermalink": self._messages.permalink,
            "chat.scheduleMessage": self._messages.schedule,
            "chat.scheduledMessages.list": self._messages.list_scheduled,
            "chat.deleteScheduledMessage": self._messages.unschedule,
            "conversations.list": self._people.channels,
            "conversations.info": self._people.channel,
            "conversations.members": self._people.members,
            "conversations.open": self._people.open,
            "conversations.join": self._people.join,
            "users.list": self._people.users,
            "users.info": self._people.user,
            "users.lookupByEmail": self._people.by_email,
            "files.getUploadURLExternal": self._files.upload_url,
            "files.completeUploadExternal": self._files.complete,
            "files.info": self._files.info,
            "files.delete": self._files.delete,
            "views.open": self._interactions.open_view,
        }

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        return [
            web.route("*", "/api/{method}", self._api),
            web.post("/services/{path:.+}", self.webhooks.post),
            web.post("/slack/upload/{id}", self._files.upload),
            web.get("/slack/files/{id}/{name}", self._files.download),
            web.post("/slack/actions/{id}", self._interactions.respond),
            web.get("/slack/link/", self.sockets.serve),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        hook = not request.path.startswith("/api/")
        if what == "throttled":
            return too_many(hook, 1)
        if hook:
            return web.Response(status=403, text="invalid_token" if what == "token_expired" else "action_prohibited")
        return web.json_response(
            {"ok": False, "error": "token_expired" if what == "token_expired" else "no_permission"}
        )

    def world(self) -> Mapping[str, Any]:
        return {
            "credentials": {
                "slack": {
                    "base_url": self.origin,
                    "bot_token": next(iter(self.tokens.until)),
                    "signing_secret": SIGNING_SECRET,
                },
                "slack_webhook": {"url": self.origin + next(iter(self.webhooks.channels))},
            },
            "rotation": {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "refresh_token": self.tokens.refresh_token,
            },
            "socket_mode": {"app_token": APP_TOKEN},
            "team": TEAM_NAME,
            "bot": BOT_USER,
            "people": [
                {"id": each.id, "name": each.real_name, "mail": each.email, "gone": each.deleted, "bot": each.bot}
                for each in self.workspace.users.values()
            ],
            "groups": [
                {
                    "id": each.id,
                    "name": f"#{each.name}",
                    "archived": each.archived,
                    "with_bot": BOT_USER in each.members,
                }
                for each in self.workspace.channels.values()
                if not each.user
            ],
        }

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the connection that the app holds."""
        return await self.telling.tell(inbound, url)

    async def _api(self, request: web.Request) -> web.Response:
        name = request.match_info["method"]
        try:
            given = await arguments(request, name)
            if name == "oauth.v2.access":
                return web.json_response({"ok": True, **self.tokens.rotate(given, request)})
            if name == "apps.connections.open":
                return web.json_response({"ok": True, **self.sockets.open(request, self.origin)})
            self.tokens.check(request, given)
            method = self._methods.get(name)
            if method is None:
                raise Refusal("unknown_method", req_method=name)
            return web.json_response({"ok": True, **method(given)})
        except Limited as limited:
            return too_many(False, limited.seconds)
        except Refusal as error:
            return web.json_response({"ok": False, "error": error.word, **error.more})

    def _auth_test(self, given: Arguments) -> dict[str, Any]:
        return {
            "url": f"{self.origin}/",
            "team": TEAM_NAME,
            "user": BOT_NAME,
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }
