"""Incoming webhooks, each of one channel."""

from aiohttp import web

from hongyan.sandbox.slack import checks
from hongyan.sandbox.slack.answers import Limited, Refusal, hook_body, too_many
from hongyan.sandbox.slack.messages import Messages
from hongyan.sandbox.slack.rates import Bursts
from hongyan.sandbox.slack.world import TEAM, Workspace


class Webhooks:
    """They answer in words, not in JSON."""

    def __init__(self, workspace: Workspace, bursts: Bursts, messages: Messages) -> None:
        self._workspace = workspace
        self._bursts = bursts
        self._messages = messages
        #: The channel of each webhook, by its path.
        self.channels = {f"/services/{TEAM}/B0HOOK0001/{'sandbox' * 3}": "C0ALERTS01"}
        self.channels[f"/services/{TEAM}/B0HOOK0002/{'sandbox' * 3}"] = "C0ARCHIVE1"

    async def post(self, request: web.Request) -> web.Response:
        channel_id = self.channels.get(request.path)
        if channel_id is None:
            known = any(each.rpartition("/")[0] == request.path.rpartition("/")[0] for each in self.channels)
            return web.Response(status=403 if known else 404, text="invalid_token" if known else "no_service")
        given = await hook_body(request)
        if given is None:
            return web.Response(status=400, text="invalid_payload")
        channel = self._workspace.channels[channel_id]
        if channel.archived:
            return web.Response(status=410, text="channel_is_archived")
        try:
            payload = checks.payload(given, self._workspace.numbers)
            self._bursts.count(request.path)
        except Limited as limited:
            return too_many(True, limited.seconds)
        except Refusal as error:
            known_words = ("no_text", "too_many_attachments", "invalid_blocks")
            return web.Response(status=400, text=error.word if error.word in known_words else "invalid_payload")
        self._messages.show(channel, payload, str(given.get("thread_ts") or ""), hook=request.path)
        return web.Response(text="ok")
