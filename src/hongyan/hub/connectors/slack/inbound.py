"""What Slack tells an app: events, buttons and forms, commands (connectors reference 5.5)."""

import hmac
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from hongyan.hub.connector import (
    Acted,
    Chat,
    Event,
    Forged,
    Happened,
    Incoming,
    Outcome,
    Person,
    Problem,
    Said,
    Target,
)
from hongyan.hub.content import Audio, Content, File, Image, Markdown, Media, Mention, Message, Text, Video
from hongyan.hub.degrade import escape
from hongyan.hub.http import json_object

#: How far a request's time may be from ours (s).
SKEW = 300
#: Subtypes of messages in which somebody says something.
_SAID = {None, "file_share", "thread_broadcast", "me_message", "bot_message"}


def verify(request: Incoming, secret: str, now: int) -> None:
    """Raises Forged. `now` in ms."""
    stamp, given = (request.headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
    if not stamp.isascii() or not stamp.isdecimal() or not given:
        raise Forged("the signature of Slack is missing")
    if abs(now / 1000 - int(stamp[:15])) > SKEW:
        raise Forged("the request is too old, or the clock is wrong")
    made = "v0=" + hmac.digest(secret.encode(), b"v0:" + stamp.encode() + b":" + request.body, "sha256").hex()
    if not hmac.compare_digest(made.encode(), given.encode()):
        raise Forged("the signature is not made with this app's signing secret")


def read(request: Incoming) -> Mapping[str, Any]:
    """The body: JSON, or a form, whose `payload` is JSON. Raises Problem for what is none of Slack's."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        try:
            fields = parse_qs(request.body.decode("ascii"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            raise _strange() from None
        form = {name: values[0] for name, values in fields.items()}
        return read_object(form["payload"].encode()) if "payload" in form else form
    return read_object(request.body)


def read_object(body: bytes) -> Mapping[str, Any]:
    """Raises Problem for what is none of Slack's."""
    value = json_object(body)
    if value is None or not isinstance(value.get("type", ""), str):
        raise _strange()
    return value


def _strange() -> Problem:
    return Problem(Outcome.BAD_CONTENT, "this is no request that Slack makes")


def events(body: Mapping[str, Any], now: int) -> tuple[Event, ...]:
    """What has happened. Buttons that open a form are not among it: see `asked_forms`."""
    try:
        if "command" in body and "type" not in body:
            return (_command(body, now),)
        match body.get("type"):
            case "event_callback":
                return _callback(body)
            case "block_actions":
                return tuple(_pressed(body, action) for action in body["actions"] if not _ours(action))
            case "view_submission":
                return (_submitted(body, now),)
            case str(name) if name:
                return (Happened(_id_of(body, name), name, now, _without_secrets(body)),)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        pass
    raise _strange()


def forms_asked(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The forms that are to be opened: each as its button carries it, and what its window remembers."""
    if body.get("type") != "block_actions":
        return []
    return [
        (str(action.get("value", "")), msgspec.json.encode(_receipt(body)).decode())
        for action in body.get("actions", ())
        if str(action.get("action_id", "")).startswith("hongyan.form.")
    ]


def _ours(action: Mapping[str, Any]) -> bool:
    return str(action["action_id"]).startswith("hongyan.")


def _id_of(body: Mapping[str, Any], name: str) -> str:
    """Of something that Slack gives no id."""
    for key in ("event_id", "trigger_id", "minute_rate_limited"):
        if body.get(key):
            return f"{name}:{body[key]}"
    return f"{name}:{hmac.digest(b'', msgspec.json.encode(body), 'sha256').hex()}"


def _without_secrets(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in ("token", "response_url", "response_urls")}


def _callback(body: Mapping[str, Any]) -> tuple[Event, ...]:
    event = body["event"]
    kind = event["type"]
    if kind in ("message", "app_mention") and event.get("subtype") in _SAID:
        if event.get("app_id") and event["app_id"] == body.get("api_app_id"):
            return ()  # what we have said ourselves
        return _said(body, event)
    at = _ms(event.get("event_ts") or event.get("ts") or body.get("event_time") or 0)
    name = event["subtype"] if kind == "message" else kind
    gone = _deleted(event) if kind == "message" else ""
    recalled = {"channel": str(event["channel"]), "ts": gone} if gone else {}
    edited = _edited(body, event) if name == "message_changed" and not gone else None
    return (Happened(body["event_id"], name, at, dict(event), recalled, edited),)


def _deleted(event: Mapping[str, Any]) -> str:
    """The `ts` of a message that is gone; of one that was answered in its thread a tombstone is left."""
    if event["subtype"] == "message_deleted":
        return str(event.get("deleted_ts") or "")
    message = event.get("message") or {}
    return str(message.get("ts") or "") if message.get("subtype") == "tombstone" else ""


def _edited(body: Mapping[str, Any], event: Mapping[str, Any]) -> Said | None:
    """What a message says that somebody has edited. Slack tells so, too, of previews of links and the like."""
    message, before = event.get("message") or {}, event.get("previous_message") or {}
    if not message.get("edited") or message["edited"] == before.get("edited") or message.get("subtype") not in _SAID:
        return None
    where = {name: event[name] for name in ("channel", "channel_type") if name in event}
    shown = {**message, **where, "files": None}
    said = _said(body, shown) or _said(body, {**shown, "blocks": None, "text": "…"})
    content = said[0].message.content if said[0].message.content != Text("…") else Text("")
    # by its place alone: an answer may have made a thread of it since it was said
    receipt = {name: said[0].receipt[name] for name in ("channel", "ts")}
    changed = msgspec.structs.replace(said[0].message, content=content)
    return msgspec.structs.replace(said[0], message=changed, receipt=receipt)


def _said(body: Mapping[str, Any], event: Mapping[str, Any]) -> tuple[Said, ...]:
    """The text, and each of the files, with ids of the message itself: one who mentions us is told of twice."""
    channel, stamp = event["channel"], event["ts"]
    me = next((each["user_id"] for each in body.get("authorizations") or () if each.get("is_bot", True)), "")
    content, told = content_of(event, me)
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    profile = event.get("user_profile") or event.get("bot_profile") or {}
    user = str(event.get("user") or event.get("bot_id") or "")
    name = profile.get("display_name") or profile.get("real_name") or profile.get("name") or event.get("username") or ""
    thread = event.get("thread_ts", "")
    receipt = {"channel": channel, "ts": stamp, **({"thread": thread} if thread else {})}
    chat = Chat(Target("user", user) if direct and user else Target("group", channel), direct=direct)
    others = tuple(Mention(user=each) for each in told if each not in ("", me, "*"))
    mentions = others + ((Mention(everyone=True),) if "*" in told else ())
    said: list[tuple[str, Content, dict[str, str] | None]] = []
    if content is not None:
        said.append((f"{channel}:{stamp}", content, None))
    said += [(f"{channel}:{stamp}:{each['id']}", *_file(each)) for each in event.get("files") or () if "id" in each]
    return tuple(
        Said(
            id,
            chat,
            Person(user, str(name)),
            Message(each, mentions, thread if thread != stamp else ""),
            _ms(stamp),
            receipt,
            mentioned=event["type"] == "app_mention" or (bool(me) and me in told),
            media=() if media is None else (media,),
            automatic=bool(event.get("bot_id")),
        )
        for id, each, media in said
    )


def _file(file: Mapping[str, Any]) -> tuple[Content, dict[str, str]]:
    address = str(file.get("url_private_download") or file.get("url_private") or "")
    name, type_ = str(file.get("name") or file.get("title") or "file"), str(file.get("mimetype") or "")
    media = Media(url=address, name=name, type=type_)
    kinds: dict[str, Content] = {"image": Image(media), "audio": Audio(media), "video": Video(media)}
    content = kinds.get(type_.partition("/")[0], File(media))
    return content, {"url": address, "name": name, "type": type_, "file": str(file["id"])}


def _command(form: Mapping[str, Any], now: int) -> Said:
    direct = form.get("channel_name") == "directmessage"
    target = Target("user", form["user_id"]) if direct else Target("group", form["channel_id"])
    return Said(
        _id_of(form, "command"),
        Chat(target, "" if direct else form.get("channel_name", ""), direct),
        Person(form["user_id"], form.get("user_name", "")),
        Message(Text(f"{form['command']} {form.get('text', '')}".strip())),
        now,
        mentioned=True,
    )


def _pressed(body: Mapping[str, Any], action: Mapping[str, Any]) -> Acted:
    receipt = _receipt(body)
    stamp = action.get("action_ts", "0")
    where = ":".join(receipt.values()) or body.get("trigger_id", "")
    return Acted(
        f"{where}:{action['action_id']}:{body['user']['id']}:{stamp}",
        _person(body),
        action["action_id"],
        _ms(stamp),
        str(_value(action) or ""),
        _inputs((body.get("state") or {}).get("values") or {}),
        _chat(receipt, body),
        receipt,
    )


def _submitted(body: Mapping[str, Any], now: int) -> Acted:
    view = body["view"]
    receipt = msgspec.json.decode(view.get("private_metadata") or "{}", type=dict[str, str])
    return Acted(
        f"view:{view['id']}:{view.get('hash', '')}",
        _person(body),
        view["callback_id"].removeprefix("hongyan.form."),
        now,
        inputs=_inputs(view["state"]["values"]),
        chat=_chat(receipt, body),
        receipt=receipt,
    )


def _person(body: Mapping[str, Any]) -> Person:
    user = body["user"]
    return Person(str(user["id"]), str(user.get("name") or user.get("username") or ""))


def _receipt(body: Mapping[str, Any]) -> dict[str, str]:
    container = body.get("container") or {}
    channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
    stamp = container.get("message_ts") or (body.get("message") or {}).get("ts")
    return {"channel": channel, "ts": stamp} if channel and stamp else {}


def _chat(receipt: Mapping[str, str], body: Mapping[str, Any]) -> Chat | None:
    channel = receipt.get("channel", "")
    if not channel:
        return None
    direct = channel.startswith("D")
    target = Target("user", body["user"]["id"]) if direct else Target("group", channel)
    return Chat(target, "" if direct else (body.get("channel") or {}).get("name", ""), direct)


def _inputs(values: Mapping[str, Mapping[str, Any]]) -> dict[str, str | list[str]]:
    """By the ids of the inputs; what was left empty is absent."""
    found = {name: _value(element) for block in values.values() for name, element in block.items()}
    return {name: value for name, value in found.items() if value}


def _value(element: Mapping[str, Any]) -> str | list[str] | None:
    if isinstance(element.get("selected_options"), list):
        return [str(each["value"]) for each in element["selected_options"]]
    if isinstance(element.get("selected_option"), dict):
        return str(element["selected_option"]["value"])
    for key in ("value", "selected_date", "selected_time", "selected_user", "selected_channel"):
        if isinstance(element.get(key), str):
            return str(element[key])
    return None


def _ms(stamp: object) -> int:
    """Of seconds with a fraction, as text or number."""
    seconds, _, fraction = str(stamp).partition(".")
    return int(seconds) * 1000 + int((fraction + "000")[:3])


# texts


def content_of(event: Mapping[str, Any], me: str) -> tuple[Content | None, list[str]]:
    """What a message says, and the ids of who is told, `*` for everyone; our own name at its beginning is no part."""
    told: list[str] = []
    blocks = [each for each in event.get("blocks") or () if each.get("type") == "rich_text"]
    plain = not _marks(blocks)
    if blocks:
        reader = _Reader(told, me, plain)
        text = "\n".join(reader.element(each) for block in blocks for each in block["elements"]).strip()
    else:
        text = _untagged(str(event.get("text") or ""), told, me).strip()
    if not text:
        return None, told
    return (Text(text) if plain else Markdown(text)), told


_TAG = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")


def _untagged(text: str, told: list[str], me: str) -> str:
    """A text with Slack's tags, as plain text."""

    def written(found: re.Match[str]) -> str:
        sign, inner, label = found[1], found[2], found[3]
        match sign:
            case "@":
                told.append(inner)
                return "" if inner == me and not found.start() else f"@{label or inner}"
            case "#":
                return f"#{label or inner}"
            case "!":
                if inner in ("channel", "here", "everyone"):
                    told.append("*")
                return label or f"@{inner.partition('^')[0]}"
            case _:
                return inner if not label or label == inner else f"{label} ({inner})"

    return html.unescape(_TAG.sub(written, text))


def _marks(elements: Any) -> bool:
    """Whether rich text has more than text."""
    if isinstance(elements, list):
        return any(_marks(each) for each in elements)
    if elements.get("type") in ("rich_text_list", "rich_text_quote", "rich_text_preformatted"):
        return True
    if elements.get("type") == "link":
        return elements.get("text") not in (None, "", elements.get("url"))
    return bool(elements.get("style")) or _marks(elements.get("elements") or [])


class _Reader:
    """Rich text as Markdown, or as plain text if it has no marks."""

    def __init__(self, told: list[str], me: str, plain: bool) -> None:
        self._told = told
        self._me = me
        self._first = True
        self._write = str if plain else escape

    def element(self, element: Mapping[str, Any]) -> str:
        inner = element.get("elements") or ()
        match element.get("type"):
            case "rich_text_list":
                mark = "1. " if element.get("style") == "ordered" else "- "
                space = "    " * int(element.get("indent", 0))
                return "\n".join(space + mark + self._line(each.get("elements") or ()) for each in inner)
            case "rich_text_quote":
                return "\n".join(f"> {line}" for line in self._line(inner).split("\n")) + "\n"
            case "rich_text_preformatted":
                return "```\n" + "".join(str(each.get("text") or each.get("url") or "") for each in inner) + "\n```"
            case _:
                return self._line(inner)

    def _line(self, elements: Sequence[Mapping[str, Any]]) -> str:
        return "".join(self._span(each) for each in elements)

    def _span(self, span: Mapping[str, Any]) -> str:
        first, self._first = self._first, False
        match span.get("type"):
            case "text":
                return self._styled(str(span.get("text", "")), span.get("style") or {})
            case "link":
                address, text = str(span.get("url", "")), str(span.get("text") or "")
                if not text or text == address:
                    return address
                return f"[{escape(text)}]({address})"
            case "user":
                self._told.append(str(span.get("user_id", "")))
                return "" if first and span.get("user_id") == self._me else f"@{span.get('user_id')}"
            case "usergroup":
                return f"@{span.get('usergroup_id')}"
            case "channel":
                return f"#{span.get('channel_id')}"
            case "broadcast":
                self._told.append("*")
                return f"@{span.get('range')}"
            case "emoji":
                return _emoji(span)
            case _:
                return str(span.get("text") or span.get("fallback") or "")

    def _styled(self, text: str, style: Mapping[str, Any]) -> str:
        marks = [mark for name, mark in (("bold", "**"), ("italic", "*"), ("strike", "~~")) if style.get(name)]
        if style.get("code"):
            marks.append("`")
        inner = text.strip()  # marks with white space within are none
        if not inner:
            return text
        if not style.get("code"):
            inner = self._write(inner)
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return before + "".join(marks) + inner + "".join(reversed(marks)) + after


def _emoji(span: Mapping[str, Any]) -> str:
    try:
        text = "".join(chr(int(point, 16)) for point in str(span["unicode"]).split("-"))
        return text.encode(errors="replace").decode()  # a half of a character is none
    except (KeyError, ValueError, OverflowError):
        return f":{span.get('name', '')}:"
