"""Messages to any server: what it is sent, how it can tell who has sent it, and what its answers mean."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier

from hongyan.hub.channel_credentials import shown
from hongyan.hub.connector import HERE, Feature, Outcome, Problem, Result
from hongyan.hub.connectors.webhook import KIND, Webhook, WebhookCredentials
from hongyan.hub.connectors.webhook_body import at_path
from hongyan.hub.content import Card, Field, Image, Markdown, Media, Message, Table, Text, parse
from tests.hub.webhook.conftest import Peer
from tests.support.hub import Around, Clock, Files

Make = Callable[..., Webhook]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def sent(webhook: Webhook, content: Any = None, key: str = "key-1") -> Result:
    message = content if isinstance(content, Message) else Message(content or Text("hello"))
    [result] = (await webhook.send(message, [HERE], key=key)).results
    return result


async def test_the_usual_body_is_the_message(webhook: Make, peer: Peer, files: Files) -> None:
    card = Card("T", fields=(Field("a", "b"),), image=files.add("a.png"))
    assert (await sent(webhook(), card)).outcome is Outcome.OK
    method, headers, body = peer.calls[0]
    value = json.loads(body)
    assert (method, headers["content-type"], headers["webhook-id"]) == ("POST", "application/json", "key-1")
    assert (value["type"], value["timestamp"]) == ("message", "2026-11-25T20:45:11.852Z")
    # a file of ours is a link there, and it is a message that we would take again
    again = parse(json.dumps(value["data"]).encode())
    assert isinstance(again.content, Card)
    assert again.content.image is not None
    assert again.content.image.url == "https://files.example/a.png"
    assert again.content.fields == card.fields


async def test_a_file_that_is_not_there_is_bad_content(webhook: Make, files: Files) -> None:
    assert (await sent(webhook(), Image(Media(file="gone")))).outcome is Outcome.BAD_CONTENT


async def test_a_signature_by_the_standard(webhook: Make, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = webhook(signing_secret=SECRET)
    await sent(hook)
    _, headers, body = peer.calls[0]
    with monkeypatch.context() as patch:  # the library has no clock to set
        patch.setattr(Verifier, "_Webhook__verify_timestamp", lambda self, stamp: _at(stamp))
        assert Verifier(SECRET).verify(body, headers)["data"]["content"]["text"] == "hello"
    assert headers["webhook-timestamp"] == "1795639511"


def _at(stamp: str) -> Any:
    return datetime.fromtimestamp(int(stamp), UTC)


@pytest.mark.parametrize(
    "given", [{}, {"template": "{{ time }}", "body": "text"}, {"method": "PUT", "headers": {"X-Own": "1"}}]
)
async def test_a_message_that_comes_again_can_be_told_by_its_id(
    webhook: Make, peer: Peer, clock: Clock, given: dict[str, Any]
) -> None:
    hook = webhook(**given)
    assert KIND.features == hook.features == {Feature.ONCE}
    for key in ("key-1", "key-1", "key-2"):
        await sent(hook, key=key)
        clock.advance(60)
    assert [headers["webhook-id"] for _, headers, _ in peer.calls] == ["key-1", "key-1", "key-2"]


async def test_each_try_has_the_same_id_and_its_own_time(webhook: Make, peer: Peer, clock: Clock) -> None:
    hook = webhook(signing_secret=SECRET)
    await sent(hook)
    clock.advance(60)
    await sent(hook)
    first, again = (headers for _, headers, _ in peer.calls)
    assert first["webhook-id"] == again["webhook-id"]
    assert int(again["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert first["webhook-signature"] != again["webhook-signature"]


async def test_without_a_secret_nothing_is_signed(webhook: Make, peer: Peer) -> None:
    await sent(webhook())
    assert "webhook-signature" not in peer.calls[0][1]
    assert "authorization" not in peer.calls[0][1]


async def test_other_proofs(webhook: Make, peer: Peer) -> None:
    await sent(webhook(user="ann", password="sécret:1", method="PUT"))
    await sent(webhook(token="abc", headers={"X-Own": "1"}))
    await sent(webhook(hmac_secret="s3cret", method="PATCH"))
    await sent(webhook(hmac_secret="s3cret", hmac_header="X-Grafana-Alerting-Signature", hmac_prefix=""))
    (put, basic, _), (_, bearer, _), (patch, github, body), (_, grafana, other) = peer.calls
    assert (put, basic["authorization"]) == ("PUT", "Basic " + base64.b64encode("ann:sécret:1".encode()).decode())
    assert (bearer["authorization"], bearer["x-own"]) == ("Bearer abc", "1")
    digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert (patch, github["x-hub-signature-256"]) == ("PATCH", f"sha256={digest}")
    assert grafana["x-grafana-alerting-signature"] == hmac.new(b"s3cret", other, hashlib.sha256).hexdigest()


NASTY = 'say "hi"\n\\ {{ 7 * 7 }} </script> 雁'


async def test_both_secrets_sign_while_one_takes_the_place_of_the_other(
    webhook: Make, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = "whsec_" + base64.b64encode(b"a new secret of thirty bytes..").decode()
    await sent(webhook(signing_secret=new, previous_signing_secret=SECRET))
    _, headers, body = peer.calls[0]
    with monkeypatch.context() as patch:
        patch.setattr(Verifier, "_Webhook__verify_timestamp", lambda self, stamp: _at(stamp))
        for secret in (new, SECRET):
            assert Verifier(secret).verify(body, headers)["data"]["content"]["text"] == "hello"


@pytest.mark.parametrize("query", ["", "?key=1"])
async def test_a_get_has_the_form_as_its_query(webhook: Make, peer: Peer, query: str) -> None:
    """As servers for text messages want it."""
    template = '{"phone": "139", "text": "{{ text }}"}'
    hook = webhook(url=peer.url + query, method="GET", body="form", template=template, signing_secret=SECRET)
    assert (await sent(hook, Text("磁盘 & more"))).outcome is Outcome.OK
    method, headers, body = peer.calls[0]
    assert (method, body, "content-type" in headers) == ("GET", b"", False)
    given = {"phone": ["139"], "text": ["磁盘 & more"]}
    assert parse_qs(peer.queries[0]) == (given | {"key": ["1"]} if query else given)


@pytest.mark.parametrize(("answer", "outcome"), [("OK:1", Outcome.OK), ("error 7", Outcome.UNKNOWN)])
async def test_success_may_be_a_word_of_the_answer(webhook: Make, peer: Peer, answer: str, outcome: Outcome) -> None:
    peer.answer = lambda: web.Response(text=answer)
    result = await sent(webhook(success_text="OK"))
    assert result.outcome is outcome
    assert ("error 7" in result.reason) == (outcome is Outcome.UNKNOWN)


async def test_a_template_of_json(webhook: Make, peer: Peer) -> None:
    template = """{"msg": "{{ title }}: {{ text }}", "raw": {{ message | tojson }}, "n": {{ text | length }},
        "level": "{{ content.level | default('info') }}",
        "id": "{{ key }}"{% if content.title %}, "t": true{% endif %}}"""
    await sent(webhook(template=template), Markdown(NASTY, title="*T*"))
    value = json.loads(peer.calls[0][2])
    assert value["msg"].startswith("*T*: ")
    assert 'say "hi"' in value["msg"]
    assert value["raw"]["content"]["text"] == NASTY
    assert (value["level"], value["id"], value["t"]) == ("info", "key-1", True)


async def test_a_template_with_loops(webhook: Make, peer: Peer) -> None:
    template = "{% for row in content.rows %}{% for cell in row %}{{ cell }};{% endfor %}\n{% endfor %}"
    await sent(webhook(template=template, body="text"), Table(("a", "b"), (("1", "2"), ("3", "4"))))
    _, headers, body = peer.calls[0]
    assert (headers["content-type"], body) == ("text/plain; charset=utf-8", b"1;2;\n3;4;\n")


async def test_a_template_of_a_form(webhook: Make, peer: Peer) -> None:
    await sent(webhook(template='{"text": "{{ text }}", "n": 1}', body="form"), Text(NASTY))
    _, headers, body = peer.calls[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode()) == {"text": [NASTY], "n": ["1"]}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ text", "can't be read"),
        ("{{ other }}", "can't read `other`"),
        ("{{ message.__class__ }}", "nothing called `__class__`"),
        ("{{ text.upper() }}", "calls nothing"),
        ("{{ ''.join(text) }}", "calls nothing"),
        ("{{ lipsum }}", "can't read `lipsum`"),
        ("{% set x = 1 %}", "sets nothing"),
        ("{% include 'x' %}", "includes nothing"),
        ("{% import 'x' as y %}", "imports nothing"),
        ("{% macro x() %}{% endmacro %}", "has no macros"),
        ("{{ text ** 1000000000 }}", "has no pow"),
        ("{{ text | attr('__class__') }}", "no filter `attr`"),
        ("{{ text | center(1000000000) }}", "no filter `center`"),
        ("{% for a in content.rows recursive %}{% endfor %}", "no recursive loops"),
        ("{{ " + "(" * 2000 + "text" + ")" * 2000 + " }}", "nested too deep|can't be read"),
        ("{% if text %}" * 60 + "{% endif %}" * 60, "nested too deep"),
        ("x" * 20_001, "at most 20,000 characters"),
    ],
)
def test_templates_that_are_refused(template: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({"url": "https://a.example", "template": template, "body": "text"}, WebhookCredentials)


LOOP = "{% for row in content.rows %}{% for cell in row %}"


@pytest.mark.parametrize(
    ("template", "body", "words"),
    [
        ("{{ content.no.such }}", "text", "has no attribute 'no'"),
        ("{{ content }}", "text", "an object can't be printed"),
        ("{{ text['__class__'] }}", "text", "has no attribute '__class__'"),
        ("{{ text * 1000000000 }}", "text", "`*` is for numbers"),
        ("{{ '\\ud800' }}", "text", "half of a character"),
        ("{% for a in text %}{% endfor %}", "text", "a loop goes through an array"),
        ('{"a": }', "json", "does not give JSON"),
        ('{"a": {{ text }}}', "json", "does not give JSON"),
        ("[1]", "form", "JSON object of texts"),
        ('{"a": {}}', "form", "JSON object of texts"),
        (LOOP + "{{ cell }}" * 100 + "{% endfor %}" * 2, "text", "would become too long"),
        (LOOP * 2 + "{% endfor %}" * 4, "text", "more than 20,000 turns"),
        ("{{ '" + "a" * 1100 + "' | join('" + "b" * 1000 + "') }}", "text", "would become too long"),
        ("{{ text | join(text) | join(text) }}", "text", "would become too long"),
        ("{{ content" + " | tojson" * 25 + " }}", "text", "would become too long"),
        ("{{ [" + "content," * 150 + "] | tojson }}", "text", "would become too long"),
    ],
)
async def test_templates_that_fail(webhook: Make, peer: Peer, template: str, body: str, words: str) -> None:
    result = await sent(webhook(template=template, body=body), Table(("a",), (("x" * 250,),) * 150))
    assert result.outcome is Outcome.BAD_CONTENT
    assert words in result.reason
    assert peer.calls == []


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "after"),
    [
        (200, {}, Outcome.OK, None),
        (204, {}, Outcome.OK, None),
        (302, {"Location": "http://127.0.0.1/"}, Outcome.BAD_CREDENTIAL, None),
        (400, {}, Outcome.BAD_CONTENT, None),
        (401, {}, Outcome.BAD_CREDENTIAL, None),
        (403, {}, Outcome.BAD_CREDENTIAL, None),
        (404, {}, Outcome.BAD_CONTENT, None),
        (408, {}, Outcome.TRANSIENT, None),
        (410, {}, Outcome.BAD_CREDENTIAL, None),
        (413, {}, Outcome.BAD_CONTENT, None),
        (422, {}, Outcome.BAD_CONTENT, None),
        (425, {}, Outcome.TRANSIENT, None),
        (429, {}, Outcome.THROTTLED, None),
        (429, {"Retry-After": "7"}, Outcome.THROTTLED, 7.0),
        (429, {"Retry-After": "Wed, 25 Nov 2026 20:46:11 GMT"}, Outcome.THROTTLED, 59.148),
        (429, {"Retry-After": "Wed, 25 Nov 2020 20:06:11 GMT"}, Outcome.THROTTLED, 0.0),
        (429, {"Retry-After": "soon"}, Outcome.THROTTLED, None),
        (429, {"Retry-After": "9" * 400}, Outcome.THROTTLED, 86_400.0),
        (500, {}, Outcome.TRANSIENT, None),
        (502, {}, Outcome.TRANSIENT, None),
        (503, {"Retry-After": "30"}, Outcome.THROTTLED, 30.0),
        (504, {}, Outcome.TRANSIENT, None),
    ],
)
async def test_answers(
    webhook: Make, peer: Peer, status: int, headers: dict[str, str], outcome: Outcome, after: float | None
) -> None:
    peer.answer = lambda: web.Response(status=status, headers=headers)
    result = await sent(webhook())
    assert result.outcome is outcome
    assert result.after == (pytest.approx(after, abs=0.01) if after is not None else None)
    assert len(peer.calls) == 1  # no redirect was followed


async def test_success_with_an_error_inside(webhook: Make, peer: Peer) -> None:
    hook = webhook(success_path="errcode", success_value="0", receipt_path="data[0].id")
    peer.answer = lambda: web.json_response({"errcode": 0, "data": [{"id": "m1"}]})
    assert await sent(hook) == Result(HERE, Outcome.OK, {"id": "m1"})
    peer.answer = lambda: web.json_response({"errcode": 40001})
    result = await sent(hook)
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, "40001")
    assert result.reason == "errcode of the answer is 40001, not 0"
    for garbage in ("", "garbage", "[]", "[" * 50_000):
        peer.answer = lambda garbage=garbage: web.Response(text=garbage)  # type: ignore[misc]
        assert (await sent(hook)).outcome is Outcome.UNKNOWN


async def test_an_answer_without_an_id_is_success_all_the_same(webhook: Make, peer: Peer) -> None:
    peer.answer = lambda: web.Response(text="garbage")
    assert await sent(webhook(receipt_path="id")) == Result(HERE, Outcome.OK)


def test_paths() -> None:
    value = {"a": {"b": [{"c": 1}]}, "d": None}
    assert at_path(value, "a.b[0].c") == 1
    assert [at_path(value, path) for path in ("a.b[1]", "a.b.c", "d.e", "x", f"a.b[{'9' * 5000}]")] == [None] * 5


async def test_nobody_there_and_private_addresses(webhook: Make, around: Around) -> None:
    assert (await sent(webhook(url="http://127.0.0.1:9/in"))).outcome is Outcome.TRANSIENT
    result = await sent(webhook(url="http://169.254.169.254/latest"))
    assert (result.outcome, result.everybody) == (Outcome.BAD_CREDENTIAL, True)
    with pytest.raises(Problem, match="no address of the internet"):
        await webhook(url="http://10.0.0.1/in").check()


async def test_a_check_calls_nobody(webhook: Make, peer: Peer) -> None:
    assert await webhook().check() == "POST to 127.0.0.1"
    assert peer.calls == []


async def test_an_answer_that_is_too_long_is_unknown(webhook: Make, peer: Peer) -> None:
    peer.answer = lambda: web.Response(body=b"x" * 100_000)
    assert (await sent(webhook())).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "ftp://a.example"}, "begins with https"),
        ({"url": "https://ann:secret@a.example"}, "fields of their own"),
        ({"url": "https://[a"}, "no URL"),
        ({"method": "DELETE"}, "Invalid enum value"),
        ({"method": "GET"}, "becomes the query"),
        ({"method": "GET", "template": "{}"}, "becomes the query"),
        ({"previous_signing_secret": SECRET}, "stands beside"),
        ({"signing_secret": SECRET, "previous_signing_secret": "whsec_c2hvcnQ="}, "24 to 64"),
        ({"body": "text"}, "without `template`"),
        ({"token": "a", "user": "b"}, "either"),
        ({"token": "a\r\nX-Evil: 1"}, "header may not have"),
        ({"headers": {"X\r\nY": "1"}}, "no header"),
        ({"headers": {"X-Y": "1\r\nZ: 2"}}, "no header"),
        ({"headers": {"Host": "other"}}, "no header"),
        ({"hmac_header": "content-length", "hmac_secret": "s"}, "no header"),
        ({"hmac_header": "webhook-id", "hmac_secret": "s"}, "no header"),
        ({"headers": {"Webhook-Id": "1"}}, "no header"),
        ({"signing_secret": "secret"}, "whsec_"),
        ({"signing_secret": "whsec_c2hvcnQ="}, "24 to 64"),
        ({"success_path": "a"}, "given together"),
        ({"receipt_path": "a..b"}, "no path"),
        ({"colour": "red"}, "unknown field"),
    ],
)
def test_wrong_credentials_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({"url": "https://a.example", **given}, WebhookCredentials)


def test_secrets_are_shown_nowhere() -> None:
    given = WebhookCredentials(
        url="https://a.example/?key=SECRET",
        user="ann",
        password="SECRET",
        headers={"X-Key": "SECRET"},
        signing_secret=SECRET,
        hmac_secret="SECRET",
    )
    assert "SECRET" not in repr(given) + str([given])
    assert "whsec" not in repr(given)
    secrets = {"signing_secret", "previous_signing_secret", "hmac_secret"}
    assert {"url", "password", "token", "headers", *secrets} == KIND.secret


def test_credentials_that_were_not_given_are_shown_as_by_default() -> None:
    told = shown(KIND, {"url": "https://a.example/", "headers": None})
    assert (told["url"], told["method"], told["headers"]) == ("***", "POST", {})
    assert shown(KIND, {"url": "https://a.example/", "headers": {"X-Key": "SECRET"}})["headers"] == "***"
