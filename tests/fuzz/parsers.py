"""Everything that reads what comes from outside, and what it may raise: a line for each."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import livequery, member_infos, parameters
from hongyan.engine import attributes, bodies, json_text, patterns, push_content, query, word_list
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock, wall_ms
from hongyan.engine.conversations import check_client_ids, parse_attributes
from hongyan.engine.receipts import arrived
from hongyan.engine.sessions import Sessions
from hongyan.engine.signatures import Signature, Signatures
from hongyan.engine.values import App, Attributes, message_id_time
from hongyan.engine.word_list import Finder
from hongyan.errors import Refused
from hongyan.gateway.handlers import blacklist, conv_silence
from hongyan.hub import content, degrade, markdown, templates
from hongyan.hub.connector import Incoming, Problem
from hongyan.hub.connectors import email_html
from hongyan.hub.connectors.email import address_of
from hongyan.hub.connectors.feishu import long_connection
from hongyan.hub.connectors.slack import inbound as slack_inbound
from hongyan.hub.connectors.slack import rich_text as slack_rich_text
from hongyan.hub.connectors.webhook_body import NAMES, Body, at_path
from hongyan.hub.connectors.wecom import callback as wecom_callback
from hongyan.hub.connectors.wecom import xml as wecom_xml
from hongyan.hub.markdown import Writer
from hongyan.hub.variables import Schema
from hongyan.wire import frames, subprotocol

APP = App(1, "fuzz-app", "fuzz", "key", "master", "hook", AppSettings(), 0)


class Parser(NamedTuple):
    """`read` gets bytes, or text that UTF-8 can carry, and raises nothing but `refuses`."""

    read: Callable[[Any], object]
    takes: type[bytes] | type[str]
    refuses: type[Exception] | tuple[type[Exception], ...] = ()


class NoTokens:
    """A store in which no token was voided."""

    async def revoked(self) -> dict[str, int]:
        return {}

    async def revoke(self, token_id: str, expires_at: int) -> None:
        raise AssertionError("nothing is voided here")


class NoSignatures:
    """A store in which no signature was used."""

    async def use(self, digest: bytes, expires_at: int) -> bool:
        raise AssertionError("nothing is used up here")


def wish(text: str) -> object:
    """The body of a call that subscribes, and the condition alone as text."""
    given = json_text.parse(text)
    body = given if isinstance(given, dict) and "query" in given else {"query": {"className": "_Conversation"}}
    if body is not given:
        body["query"] |= {"where": text, "keys": given}
    return livequery._wish(body)


def heard(body: bytes, type_: str) -> object:
    """A request of Slack with a good signature."""
    read = slack_inbound.read(Incoming("POST", {}, {"content-type": type_}, body))
    return slack_inbound.events(read, 0), slack_inbound.forms_asked(read)


def filled(source: str) -> bytes:
    """A body by a template, with something in each variable."""
    given = dict.fromkeys(NAMES, "x") | {"content": {"type": "table", "rows": [["1", "2"]]}}
    return Body(source, "text").fill_in(given)


def template_text(text: str) -> object:
    """What it becomes in a template, with one variable."""
    message = {"content": {"type": "markdown", "text": text}}
    template = templates.Template({"default": message}, variables=Schema("object", properties={"a": Schema("array")}))
    templates.check(template)
    return templates.fill_in(template, {"a": [1, "b", {"c": None}]})


FINDER = Finder(["name", "坏蛋", "ß"])
SESSIONS = Sessions(NoTokens(), Clock(), bytes(32))
SIGNATURES = Signatures(NoSignatures(), Clock())
SIGNING_APP = dataclasses.replace(APP, settings=AppSettings(sign_login=True))

PARSERS = {
    "a binary frame": Parser(frames.decode, bytes, frames.UndecodableError),
    "a text frame": Parser(frames.decode_text, bytes, frames.UndecodableError),
    "subprotocols": Parser(subprotocol.choose, str),
    "JSON": Parser(json_text.parse, str, ValueError),
    "where": Parser(lambda text: query.parse("tom", text), str, Refused),
    "sort": Parser(lambda text: query.parse("tom", "", sort=text), str, Refused),
    "attributes": Parser(parse_attributes, str, Refused),
    "changed attributes": Parser(
        lambda text: attributes.apply(attributes.parse(text), Attributes(None, None, {})), str, Refused
    ),
    "the content of a push": Parser(push_content.parse, str, ValueError),
    "a pattern": Parser(patterns.parse, str, ValueError),
    "client ids": Parser(lambda text: check_client_ids(text.split(",")), str, Refused),
    "a message id": Parser(message_id_time, str),
    "an acknowledged message": Parser(lambda text: arrived(text, None, None), str),
    "a message's body": Parser(lambda text: bodies.mask(text, FINDER.find), str),
    "a word list": Parser(lambda text: word_list.parse(text.splitlines()), str, ValueError),
    "the time of a signature": Parser(
        lambda text: SIGNATURES.login(SIGNING_APP, "tom", Signature("ab", text, "n")), str, Refused
    ),
    "a signature": Parser(
        lambda text: SIGNATURES.login(SIGNING_APP, text, Signature(text, str(wall_ms()), text)), str, Refused
    ),
    "a place in a list of who is blocked": Parser(blacklist._place, str, Refused),
    "a place in a list of who is silenced": Parser(conv_silence._offset, str, Refused),
    "a number of a call": Parser(lambda text: parameters.number({"limit": text}, "limit"), str, HttpError),
    "where of member infos": Parser(lambda text: member_infos._where(text, {"cid", "clientId"}), str, HttpError),
    "a wish of LiveQuery": Parser(wish, str, (HttpError, Refused, ValueError)),
    "what Slack tells": Parser(lambda body: heard(body, "application/json"), bytes, Problem),
    "a form of Slack": Parser(lambda body: heard(body, "application/x-www-form-urlencoded"), bytes, Problem),
    "a frame of Slack": Parser(slack_inbound.read_object, bytes, Problem),
    "a frame of Feishu": Parser(long_connection._frame, bytes, Problem),
    "the number of a part of Feishu's": Parser(
        lambda text: long_connection._number({"seq": text}, "seq", 0), str, Problem
    ),
    "where Feishu's connection is": Parser(long_connection._service, str, ValueError),
    "Markdown for Slack": Parser(lambda text: slack_rich_text.blocks(markdown.parse(text), lambda rule: None), str),
    "Markdown for a mail": Parser(lambda text: email_html.Html().write(markdown.parse(text)), str),
    "the template of a webhook": Parser(filled, str, (Problem, ValueError)),
    "a path of JSON": Parser(lambda text: at_path({"a": [{"b": 1}]}, text), str),
    "a mail address": Parser(address_of, str),
    "a message for other platforms": Parser(content.parse, bytes, Refused),
    "Markdown": Parser(lambda text: Writer().write(markdown.parse(text)), str),
    "plain text as Markdown": Parser(lambda text: markdown.parse(degrade.escape(text)), str),
    "a template": Parser(templates.parse, bytes, Refused),
    "a text of a template": Parser(template_text, str, Refused),
    "XML of WeCom": Parser(wecom_xml.parse, bytes, ValueError),
    "what WeCom tells": Parser(lambda body: wecom_callback._event(wecom_callback._parse(body)), bytes, Problem),
    "a session token": Parser(lambda text: SESSIONS.redeem(APP, "tom", text), str, Refused),
}
