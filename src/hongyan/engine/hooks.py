"""Asking an app's own engine before something happens, and what becomes of its answer (REST reference 5).

An app without one pays for a look at its settings. Who asks checks everything again afterwards: the answer takes time.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable

from hongyan import errors
from hongyan.engine import questions
from hongyan.engine.ports import AppEngines
from hongyan.engine.questions import (
    NOTHING,
    Answer,
    Editing,
    HookFailed,
    Offline,
    Question,
    ReceiversOffline,
    Sending,
)
from hongyan.engine.values import OF_MEMBERS, App, Conversation, Draft, Replacement
from hongyan.errors import Kind, Refused

log = logging.getLogger(__name__)

#: How often an app's failures are logged (s).
LOG_EVERY = 60.0
#: What is answered to who is refused.
REFUSALS: dict[type[Question], Kind] = {
    questions.Sending: errors.MESSAGE_REJECTED_BY_APP,
    questions.Editing: errors.MESSAGE_UPDATE_REJECTED_BY_APP,
    questions.Starting: errors.CONVERSATION_REJECTED_BY_APP,
    questions.Adding: errors.CONVERSATION_REJECTED_BY_APP,
    questions.Removing: errors.CONVERSATION_REJECTED_BY_APP,
    questions.Updating: errors.CONVERSATION_REJECTED_BY_APP,
    questions.Muting: errors.CONVERSATION_REJECTED_BY_APP,
    questions.Signing: errors.SIGNATURE_FAILED,
    questions.ReceiversOffline: errors.MESSAGE_REJECTED_BY_APP,
}


class Hooks:
    def __init__(self, engines: AppEngines | None) -> None:
        """Without `engines` nobody is asked."""
        self._engines = engines
        self._logged_at: dict[int, float] = {}

    def concern(self, app: App, kind: type[Question]) -> bool:
        """Whether the app's engine may have something to say to such questions. Asked for every message."""
        return bool(app.settings.hook_url) and self._engines is not None and self._engines.has_hook(app, kind)

    async def ask(self, app: App, question: Question) -> Answer:
        """What the app's engine wants. Raises Refused if it does not want what is asked about."""
        if not self.concern(app, type(question)):
            return NOTHING
        assert self._engines is not None
        try:
            answer = await self._engines.ask(app, question)
        except HookFailed as failure:
            return self.failed(app, type(question), failure)
        if answer.refused:
            raise Refused(REFUSALS[type(question)], answer.detail, answer.code)
        return answer

    async def review(
        self, app: App, question: Sending | Editing, draft: Draft | None, check: Callable[[App, Draft], object]
    ) -> None:
        """Ask about a message, and make of its draft what the app's engine wants; there is none for a recall.

        `check` refuses a draft that is too long. Raises Refused.
        """
        answer = await self.ask(app, question)
        if draft is None:
            return
        if answer.content is not None:
            given, draft.content = draft.content, answer.content
            try:
                check(app, draft)
            except Refused as refusal:
                draft.content = given
                self.failed(app, type(question), HookFailed(f"what it wants is refused: {refusal}", answered=True))
                return
            draft.replaced = Replacement(answer.content, answer.code, answer.detail)
        draft.receivers = answer.receivers

    def failed(self, app: App, kind: type[Question], failure: HookFailed) -> Answer:
        """A hook has failed, or what it wants can't be done: then it is as if there were none, or all is refused."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_at.get(app.key, -LOG_EVERY) >= LOG_EVERY:
            self._logged_at[app.key] = now
            log.warning("a hook of the app %s failed (%s): %s", app.id, kind.__name__, failure)
        if app.settings.hook_failure == "refuse":
            raise Refused(REFUSALS[kind], "the app's hook failed")
        return NOTHING

    async def receivers_offline(self, app: App, question: ReceiversOffline) -> Offline:
        """What becomes of the push of a message."""
        if not self.concern(app, ReceiversOffline):
            return Offline()
        assert self._engines is not None
        try:
            return (await self._engines.ask(app, question)).offline
        except HookFailed as failure:
            try:
                return self.failed(app, ReceiversOffline, failure).offline
            except Refused:
                return Offline(skip=True)


def receivers(conversation: Conversation, sender: str) -> list[str]:
    """Who is to receive a message, for a question about it; nobody is named where there may be any number."""
    return sorted(conversation.members - {sender})


def narrowed(conversation: Conversation, sender: str, draft: Draft | None) -> Conversation:
    """The conversation as if only those of the members were in it who are to hear of a message, and its sender."""
    if draft is None or draft.receivers is None or conversation.kind not in OF_MEMBERS:
        return conversation
    return dataclasses.replace(conversation, members=conversation.members & {sender, *draft.receivers})
