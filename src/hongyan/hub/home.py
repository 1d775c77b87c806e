"""Sending within an app: what the connector `hongyan` is given of the engine."""

from collections.abc import Mapping

from hongyan import errors
from hongyan.engine.conversations import check_client_ids
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Conversation, ConversationDraft, ConversationKind, ConversationRow, Draft, Edit
from hongyan.errors import Kind, Refused
from hongyan.hub.connector import Outcome, Problem, Target
from hongyan.hub.content import Media
from hongyan.hub.media import AppMedia
from hongyan.hub.surroundings import Mentions

#: What a refusal means for the message; all others are for its content.
_OF_RECIPIENT = frozenset({errors.INVALID_MESSAGING_TARGET, errors.CONVERSATION_NOT_FOUND})


class AppHome:
    def __init__(self, engine: Engine, app_key: int, media: AppMedia) -> None:
        self._engine = engine
        self._app_key = app_key
        self._media = media

    async def send(self, sender: str, to: Target, content: str, token: str, mentions: Mentions) -> dict[str, str]:
        app = self._app()
        try:
            conversation = await self._conversation(app, sender, to)
        except Refused as refusal:
            raise Problem(Outcome.BAD_RECIPIENT, refusal.detail or refusal.kind.name) from None
        draft = Draft(content, token=token, mention_all=mentions.everyone, mentions=mentions.clients)
        try:
            place = await self._engine.app_messages.send(app, conversation, sender, draft, sync=True)
        except Refused as refusal:
            raise _problem(refusal) from None
        return {
            "conversation": conversation.id,
            "message": place.id,
            "timestamp": str(place.timestamp),
            "sender": sender,
        }

    async def edit(self, receipt: Mapping[str, str], content: str | None) -> None:
        app = self._app()
        draft = None if content is None else Draft(content)
        edit = Edit(receipt["conversation"], receipt["message"], int(receipt["timestamp"]), draft)
        try:
            conversation = await self._engine.app_messages.target(app, edit.conversation_id)
            await self._engine.app_messages.edit(app, conversation, receipt["sender"], edit)
        except Refused as refusal:
            raise _problem(refusal) from None

    async def link(self, media: Media) -> str:
        return await self._media.own_link(media)

    async def _conversation(self, app: App, sender: str, to: Target) -> Conversation:
        """The one of this id, or that of the sender and a client, which is made if there is none."""
        conversation_id = to.id
        if to.kind == "user":
            rows: list[ConversationRow] = []
            both = check_client_ids([sender, to.id])
            draft = ConversationDraft(ConversationKind.NORMAL, sender, both, unique=True, by_system=True)
            await self._engine.conversations.make(app, draft, lambda row, existing: rows.append(row))
            conversation_id = rows[0].id
        conversation = await self._engine.app_messages.target(app, conversation_id)
        if conversation.kind is ConversationKind.SERVICE:
            raise Refused(errors.INVALID_MESSAGING_TARGET, "a service conversation has calls of its own")
        return conversation

    def _app(self) -> App:
        app = self._engine.apps.of_key(self._app_key)
        if app is None:
            raise Problem(Outcome.BAD_CREDENTIAL, "the app is gone", everybody=True)
        return app


def _problem(refusal: Refused) -> Problem:
    kind: Kind = refusal.kind
    if kind in _OF_RECIPIENT:
        outcome = Outcome.BAD_RECIPIENT
    elif kind is errors.INTERNAL_ERROR or kind.retry or kind is errors.MESSAGE_SENT_QUOTA_EXCEEDED:
        outcome = Outcome.TRANSIENT
    else:
        outcome = Outcome.BAD_CONTENT
    return Problem(outcome, refusal.detail or kind.name, code=str(kind.code))
