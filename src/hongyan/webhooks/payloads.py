"""What webhooks are told of what happens: `{"type", "timestamp", "data"}`, always less than 20 KB.

What would be too long is left out, and `data.cut` names it: who needs it asks the REST API.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan.engine.events import (
    BroadcastSent,
    ChannelHeard,
    ClientOffline,
    ClientOnline,
    ConversationCreated,
    ConversationUpdated,
    Event,
    MembersJoined,
    MembersLeft,
    MessagePatched,
    MessageSent,
    RowWritten,
    UpstreamReceived,
)
from hongyan.engine.values import Conversation, Message, iso_time

BYTES_MAX = 20_000

encode = msgspec.json.Encoder().encode
Data = dict[str, Any]


class Told(NamedTuple):
    """One thing to be told. `at` is None if the event does not say when. `bulky` may be left out, the first first."""

    type: str
    at: int | None
    data: Data
    bulky: tuple[str, ...] = ()


def body(told: Told, now: int) -> bytes:
    """The payload."""
    data = told.data
    whole = _encoded(told, data, now)
    cut: list[str] = []
    for name in told.bulky:
        if len(whole) < BYTES_MAX:
            break
        data = _without(data, name)
        cut.append(name)
        whole = _encoded(told, {**data, "cut": cut}, now)
    return whole


def _encoded(told: Told, data: Data, now: int) -> bytes:
    at = now if told.at is None else told.at
    return encode({"type": told.type, "timestamp": iso_time(at), "data": data})


def _without(data: Data, path: str) -> Data:
    name, _, rest = path.partition(".")
    return {**data, name: _without(data[name], rest) if rest else None}


def _sent(event: MessageSent | BroadcastSent) -> Iterator[Told]:
    if not event.message.transient:
        data = _of_message(event.conversation, event.message)
        if isinstance(event, BroadcastSent):
            data["conversation"]["broadcast"] = True
        yield Told("message.sent", event.message.timestamp, data, _CONTENT)


def _received(event: UpstreamReceived) -> Iterator[Told]:
    if not event.message.transient:
        yield Told(
            "message.received", event.message.timestamp, _of_message(event.conversation, event.message), _CONTENT
        )


def _patched(event: MessagePatched) -> Iterator[Told]:
    message = event.message
    if message.recalled:
        data = {
            "conversation": _conversation(event.conversation),
            "message": {"id": message.id, "timestamp": message.timestamp, "from": message.sender},
        }
        yield Told("message.recalled", message.patched_at, data)
    else:
        yield Told("message.updated", message.patched_at, _of_message(event.conversation, message), _CONTENT)


def _created(event: ConversationCreated) -> Iterator[Told]:
    conversation = event.conversation
    members = sorted(conversation.members)
    data = {
        "conversation": {**_conversation(conversation), "creator": conversation.creator or None},
        "members": members,
        "member_count": len(members),
    }
    yield Told("conversation.created", None, data, ("members",))


def _updated(event: ConversationUpdated) -> Iterator[Told]:
    values = msgspec.Raw(event.modified.encode())
    data = {**_changed(event.conversation, event.by), "keys": list(event.keys), "values": values}
    yield Told("conversation.updated", event.at, data, ("values", "keys"))


def _written(event: RowWritten) -> Iterator[Told]:
    keys = [key for key in event.keys if key not in ("m", "mu")]
    if keys:
        data = {**_changed(event.conversation, ""), "keys": keys, "values": None}
        yield Told("conversation.updated", None, data, ("keys",))
    if event.joined:
        yield _members("conversation.members_added", event.conversation, "", event.joined, None)
    if event.left:
        yield _members("conversation.members_removed", event.conversation, "", event.left, None)


def _joined(event: MembersJoined) -> Iterator[Told]:
    yield _members("conversation.members_added", event.conversation, event.by, event.joined, event.at)


def _left(event: MembersLeft) -> Iterator[Told]:
    yield _members("conversation.members_removed", event.conversation, event.by, event.left, event.at)


def _online(event: ClientOnline) -> Iterator[Told]:
    yield Told("client.online", event.at, {"client": event.client})


def _offline(event: ClientOffline) -> Iterator[Told]:
    yield Told("client.offline", event.at, {"client": event.client, "reason": event.why.name.lower()})


def _heard(event: ChannelHeard) -> Iterator[Told]:
    yield Told(event.type, event.at, dict(event.data), _OF_CHANNELS[event.type])


class _Teller(NamedTuple):
    """The types of which an event may tell, and what it tells."""

    types: tuple[str, ...]
    tell: Callable[[Any], Iterator[Told]]


_MEMBERS = ("conversation.members_added", "conversation.members_removed")
#: What is told of channels, and what of it may be long.
_OF_CHANNELS = {"channel.message": ("message",), "channel.action": ("inputs", "value"), "channel.event": ("data",)}
_CONTENT = ("message.content", "message.mentions")
TELLERS: Mapping[type[Event], _Teller] = {
    MessageSent: _Teller(("message.sent",), _sent),
    BroadcastSent: _Teller(("message.sent",), _sent),
    UpstreamReceived: _Teller(("message.received",), _received),
    MessagePatched: _Teller(("message.updated", "message.recalled"), _patched),
    ConversationCreated: _Teller(("conversation.created",), _created),
    ConversationUpdated: _Teller(("conversation.updated",), _updated),
    RowWritten: _Teller(("conversation.updated", *_MEMBERS), _written),
    MembersJoined: _Teller(_MEMBERS[:1], _joined),
    MembersLeft: _Teller(_MEMBERS[1:], _left),
    ClientOnline: _Teller(("client.online",), _online),
    ClientOffline: _Teller(("client.offline",), _offline),
    ChannelHeard: _Teller(tuple(_OF_CHANNELS), _heard),
}


def _conversation(conversation: Conversation) -> Data:
    return {"id": conversation.id, "kind": conversation.kind.name.lower()}


def _changed(conversation: Conversation, by: str) -> Data:
    return {"conversation": _conversation(conversation), "by": by or None}


def _members(type_: str, conversation: Conversation, by: str, clients: Sequence[str], at: int | None) -> Told:
    data = {**_changed(conversation, by), "clients": list(clients), "client_count": len(clients)}
    return Told(type_, at, data, ("clients",))


def _of_message(conversation: Conversation, message: Message) -> Data:
    """`client` is whom alone a message of a service conversation concerns."""
    content, binary = message.content, isinstance(message.content, bytes)
    told: Data = {
        "id": message.id,
        "timestamp": message.timestamp,
        "from": message.sender,
        "content": base64.b64encode(content).decode() if isinstance(content, bytes) else content,
        "binary": binary,
        "mentions": list(message.mentions),
        "mention_all": message.mention_all,
    }
    where = _conversation(conversation)
    if conversation.stream:
        where["client"] = next(iter(conversation.members), None)
    return {"conversation": where, "message": told}
