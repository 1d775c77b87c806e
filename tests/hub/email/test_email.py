"""Mails as a server gets them, and what its answers mean."""

import ssl
from collections.abc import Callable
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
import trustme

from hongyan.hub.connector import Outcome, Problem, Sent, Target
from hongyan.hub.connectors.email import KIND, Email, EmailCredentials, address_of
from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Field,
    File,
    Form,
    Image,
    Input,
    Link,
    Location,
    Markdown,
    Mention,
    Message,
    Table,
    Text,
    Video,
)
from tests.hub.email.conftest import Taker, serving
from tests.support.hub import PNG, Files

Make = Callable[..., Email]
ANN, BOB = Target("email", "ann@example.com"), Target("email", "bob@example.com")


async def send(email: Email, content: Any = None, to: Any = (ANN,), **options: Any) -> Sent:
    message = content if isinstance(content, Message) else Message(content or Text("hello"))
    return await email.send(message, to, **{"key": "key-1", **options})


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


class Seen(HTMLParser):
    """The tags, addresses and texts of a document, with every tag closed."""

    VOID = frozenset({"br", "hr", "img", "meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_a_mail(email: Make, taker: Taker) -> None:
    sent = await send(email(taker), Text("first line\n  second & <b>\nhttps://a.example/?x=1&y=2."))
    [(sender, to, mail)] = taker.mails
    assert (sender, to) == ("hongyan@example.com", ["ann@example.com"])
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "鸿雁 <hongyan@example.com>",
        "ann@example.com",
        "first line",
    )
    assert mail["Date"] == "Wed, 25 Nov 2026 20:45:11 +0000"
    assert sent.results[0].receipt == {"message_id": mail["Message-ID"]}
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    assert part(mail, "plain") == "first line\n  second & <b>\nhttps://a.example/?x=1&y=2.\n"
    html = part(mail, "html")
    assert "first line<br>&nbsp;&nbsp;second &amp; &lt;b&gt;" in html
    assert "https://a.example/?x=1&y=2" in Seen(html).addresses
    assert sent.notes == ()


async def test_each_try_has_the_same_id_and_each_person_another(email: Make, taker: Taker) -> None:
    for _ in range(2):
        sent = await send(email(taker), to=(ANN, BOB))
        assert [each.outcome for each in sent.results] == [Outcome.OK] * 2
    ids = [mail["Message-ID"] for _, _, mail in taker.mails]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
    # nobody learns who else gets it, and one connection is enough
    assert [mail["To"] for _, _, mail in taker.mails[:2]] == ["ann@example.com", "bob@example.com"]
    assert taker.sessions == 2


async def test_threads(email: Make, taker: Taker) -> None:
    first = (await send(email(taker))).results[0].receipt
    await send(email(taker), Message(Text("answer"), thread="m1"), key="key-2", thread=first)
    sent = await send(email(taker), Message(Text("answer"), thread="m1"), key="key-3")
    answer, without = taker.mails[1][2], taker.mails[2][2]
    assert first is not None
    assert answer["In-Reply-To"] == answer["References"] == first["message_id"]
    assert (without["Subject"], [each.rule for each in sent.notes]) == ("[#m1] answer", ["thread_to_title"])


MARKDOWN = """# H & <i>

**b** *i* ~~s~~ `c<d` [l](https://a.example/?a=1&b=2) [bad](javascript:alert(1)) <script>alert(1)</script>

- one
  1. two

> q

```
<pre>
```

| a | b |
|---|---|
| 1 | **2** |

---
![p](https://p.example/x.png)
"""


async def test_markdown(email: Make, taker: Taker) -> None:
    sent = await send(email(taker), Markdown(MARKDOWN, title="T <1>", level="warning"))
    mail = taker.mails[0][2]
    assert mail["Subject"] == "⚠️ T <1>"
    seen = Seen(part(mail, "html"))
    assert {"h1", "strong", "em", "s", "code", "ul", "ol", "blockquote", "pre", "table", "th", "hr", "img"} <= {
        *seen.tags
    }
    assert not {"script", "i", "form", "input", "link", "iframe"} & {*seen.tags}
    assert [each for each in seen.addresses if not each.startswith("http")] == []
    assert "<script>alert(1)</script>" in "".join(seen.texts)
    assert "a: 1\nb: 2" in part(mail, "plain")
    assert sent.notes == ()


@pytest.mark.parametrize("level", ["info", "success", "warning", "error"])
async def test_a_level_is_a_sign_in_the_subject_and_a_colour(email: Make, taker: Taker, level: Any) -> None:
    await send(email(taker), Card("T", level=level))
    signs = {"info": "T", "success": "✅ T", "warning": "⚠️ T", "error": "🔴 T"}
    colors = {"info": "#1d5c63", "success": "#1f7a4d", "warning": "#b7791f", "error": "#c0362c"}
    mail = taker.mails[0][2]
    assert mail["Subject"] == signs[level]
    assert f"border-top:4px solid {colors[level]}" in part(mail, "html")


async def test_a_card(email: Make, taker: Taker, files: Files) -> None:
    card = Card(
        "Deploy <now>?",
        text="Ship **it**",
        image=files.add("a.png"),
        fields=(Field("Env", "prod\n<x>"),),
        buttons=(
            Button("Yes", id="yes", style="primary"),
            Button("Docs", url="https://d.example/?a=1&b=2"),
            Button("Stop", id="stop", style="danger", confirm="Sure?"),
        ),
        form=Form("form", (Input("why", "Why"),), "Send"),
        footer="foot",
        url="https://card.example",
    )
    sent = await send(email(taker), card, key="k")
    assert [(each.rule, each.detail) for each in sent.notes] == [
        ("buttons_to_page", "Yes"),
        ("confirm_dropped", "Stop"),
        ("buttons_to_page", "Stop"),
        ("form_to_page", ""),
    ]
    html = part(taker.mails[0][2], "html")
    seen = Seen(html)
    assert [each for each in seen.addresses if each.startswith("https")] == [
        "https://card.example",
        "https://hongyan.example/act/k/yes",
        "https://d.example/?a=1&b=2",
        "https://hongyan.example/act/k/stop",
        "https://hongyan.example/act/k/form",
    ]
    assert "prod<br>&lt;x&gt;" in html
    assert "Deploy &lt;now&gt;?" in html
    text = part(taker.mails[0][2], "plain")
    assert all(each in text for each in ("Deploy <now>?", "Ship it", "Env", "https://d.example/?a=1&b=2", "foot"))


async def test_pictures_are_within(email: Make, taker: Taker, files: Files) -> None:
    await send(email(taker), Image(files.add("雁.png"), "a goose"))
    mail = taker.mails[0][2]
    related = next(each for each in mail.walk() if each.get_content_type() == "multipart/related")
    _, picture = related.iter_parts()
    assert (picture.get_content_type(), picture.get_filename(), picture.get_content()) == ("image/png", "雁.png", PNG)
    assert f"cid:{picture['Content-ID'].strip('<>')}" in Seen(part(mail, "html")).addresses
    assert "a goose" in part(mail, "plain")
    assert mail["Subject"] == "a goose"


@pytest.mark.parametrize(("type_", "note"), [(File, None), (Audio, "audio_to_file"), (Video, "video_to_file")])
async def test_files_are_attached(email: Make, taker: Taker, files: Files, type_: Any, note: str | None) -> None:
    sent = await send(email(taker), type_(files.add("报告.pdf", "application/pdf", b"content")))
    mail = taker.mails[0][2]
    [file] = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type(), file.get_content()) == (
        "报告.pdf",
        "application/pdf",
        b"content",
    )
    assert [each.rule for each in sent.notes] == ([note] if note else [])
    assert "报告.pdf" in part(mail, "plain")


@pytest.mark.parametrize(
    ("content", "note"),
    [(File, "file_to_link"), (Audio, "audio_to_link"), (Video, "video_to_link"), (Image, "image_to_link")],
)
async def test_what_is_too_large_is_a_link(email: Make, taker: Taker, files: Files, content: Any, note: str) -> None:
    media = files.add("big.bin", "image/png", b"x" * 15_000_001)
    sent = await send(email(taker), content(media))
    mail = taker.mails[0][2]
    assert [each.rule for each in sent.notes] == [note]
    assert "https://files.example/big.bin" in Seen(part(mail, "html")).addresses
    assert "https://files.example/big.bin" in part(mail, "plain")


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed", "evil\r\nX: 1/x", "", "text", "text/html; x"])
async def test_types_of_files_are_no_way_into_the_mail(email: Make, taker: Taker, files: Files, kind: str) -> None:
    await send(email(taker), File(files.add("a.bin", kind, b"<b>content</b>")))
    [file] = taker.mails[0][2].iter_attachments()
    assert file.get_content_type() in ("application/octet-stream", "text/html")
    assert file.get_content_disposition() == "attachment"


async def test_other_contents(email: Make, taker: Taker, files: Files) -> None:
    contents = [
        (Link("A & B", "https://a.example", "text", files.add("a.png")), "A & B"),
        (Location(31.2, 121.5, "外滩", "上海"), "外滩"),
        (Articles((Article("one", "https://1.example", "t"), Article("two", "https://2.example"))), "one"),
        (Table(("名", "b"), (("<1>", "2\n3"), ("4",)), title="Tab"), "Tab"),
    ]
    for content, subject in contents:
        await send(email(taker), content)
        mail = taker.mails[-1][2]
        assert mail["Subject"] == subject
        Seen(part(mail, "html"))
    assert part(taker.mails[3][2], "html").count("<td style") == 4 + 0
    assert "https://2.example" in Seen(part(taker.mails[2][2], "html")).addresses
    assert "https://uri.amap.com/" in part(taker.mails[1][2], "html")


async def test_who_is_mentioned_is_named(email: Make, taker: Taker) -> None:
    mentions = (Mention(user="u1", name="<Ann>"), Mention(everyone=True))
    sent = await send(email(taker), Message(Text("hi"), mentions))
    assert [(each.rule, each.detail) for each in sent.notes] == [
        ("mention_unresolved", "@<Ann>"),
        ("mention_unresolved", "@all"),
    ]
    assert part(taker.mails[0][2], "plain") == "@<Ann> @all\n\nhi\n"
    assert "@&lt;Ann&gt; @all" in part(taker.mails[0][2], "html")


EVIL = "x\r\nBcc: evil@example.com\r\n\r\nbody\u2028\x00y"


async def test_nothing_gets_into_the_headers(email: Make, taker: Taker, files: Files) -> None:
    # what the content model would refuse, too
    await send(email(taker), Message(Card(EVIL), thread=EVIL), thread={"message_id": f"<a@b>{EVIL}"})
    await send(email(taker), File(files.add(EVIL, "text/plain", b"x")))
    await send(email(taker), Image(files.add(EVIL), EVIL))
    for _, to, mail in taker.mails:
        assert to == ["ann@example.com"]
        assert mail["Bcc"] is None
        assert "Bcc" not in mail.as_string().split("\n\n")[0].replace("x Bcc", "").replace("x_Bcc", "")
        names = {name for name, _ in mail.items()}
        assert names <= {
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
            "In-Reply-To", "References",
        }  # fmt: skip


BAD = [
    "",
    "ann",
    "@example.com",
    "ann@",
    "ann@example..com",
    "ann@example.com, bob@example.com",
    "ann@example.com\r\nRCPT TO:<bob@example.com>",
    "ann@example.com>\nDATA",
    "<script>@example.com",
    "ann bob@example.com",
    "安@example.com",
    "a" * 65 + "@example.com",
    "ann@" + "a." * 200 + "com",
    "a" * 100_000,
]


@pytest.mark.parametrize("address", BAD)
async def test_what_is_no_address(email: Make, taker: Taker, address: str) -> None:
    sent = await send(email(taker), to=(Target("email", address), BOB))
    assert [each.outcome for each in sent.results] == [Outcome.BAD_RECIPIENT, Outcome.OK]
    assert [to for _, to, _ in taker.mails] == [["bob@example.com"]]


def test_addresses_with_names() -> None:
    found = address_of("王 Ann <ann@example.com>")
    assert found is not None
    assert (found.display_name, found.addr_spec) == ("王 Ann", "ann@example.com")


@pytest.mark.parametrize(
    ("command", "said", "outcome", "after"),
    [
        ("ann@example.com", "550 5.1.1 no such user", Outcome.BAD_RECIPIENT, None),
        ("ann@example.com", "554 5.7.1 relay access denied", Outcome.BAD_RECIPIENT, None),
        ("ann@example.com", "450 4.2.0 greylisted", Outcome.TRANSIENT, 300.0),
        ("ann@example.com", "452 4.5.3 too many", Outcome.THROTTLED, 300.0),
        ("ann@example.com", "421 4.3.2 going down", Outcome.TRANSIENT, None),
        ("MAIL", "553 5.7.1 not your address", Outcome.BAD_CREDENTIAL, None),
        ("MAIL", "451 4.3.0 later", Outcome.TRANSIENT, 300.0),
        ("MAIL", "530 5.7.0 sign in first", Outcome.BAD_CREDENTIAL, None),
        ("DATA", "552 5.3.4 too large", Outcome.BAD_CONTENT, None),
        ("DATA", "554 5.7.1 spam", Outcome.BAD_CONTENT, None),
        ("DATA", "451 4.3.0 later", Outcome.TRANSIENT, 300.0),
        ("DATA", "close", Outcome.UNKNOWN, None),
    ],
)
async def test_refusals(
    email: Make, taker: Taker, command: str, said: str, outcome: Outcome, after: float | None
) -> None:
    taker.answers[command] = said
    [result] = (await send(email(taker))).results
    assert (result.outcome, result.after) == (outcome, after)
    assert said[:3] in result.reason or said == "close"
    taker.answers.clear()
    assert (await send(email(taker))).results[0].outcome is Outcome.OK


async def test_one_refusal_is_no_refusal_of_the_others(email: Make, taker: Taker) -> None:
    taker.answers["ann@example.com"] = "550 no such user"
    sent = await send(email(taker), to=(ANN, BOB, Target("user", "u1")))
    assert [each.outcome for each in sent.results] == [Outcome.BAD_RECIPIENT, Outcome.OK, Outcome.BAD_RECIPIENT]


async def test_what_concerns_all_stops_at_the_first(email: Make, taker: Taker) -> None:
    taker.answers["MAIL"] = "553 not your address"
    sent = await send(email(taker), to=(ANN, BOB))
    assert [(each.outcome, each.everybody) for each in sent.results] == [(Outcome.BAD_CREDENTIAL, True)] * 2
    assert "belongs to `user`" in sent.results[0].advice


async def test_signing_in(email: Make, strict: Taker) -> None:
    assert (await send(email(strict, user="ann", password="s3cret"))).results[0].outcome is Outcome.OK
    [result] = (await send(email(strict, user="ann", password="other"))).results
    assert (result.outcome, result.code, result.everybody) == (Outcome.BAD_CREDENTIAL, "535", True)
    assert "other" not in result.reason
    with pytest.raises(Problem, match="535"):
        await email(strict, user="ann", password="other").check()
    assert await email(strict, user="ann", password="s3cret").check() == "hongyan@example.com by 127.0.0.1"
    [result] = (await send(email(strict))).results
    assert result.outcome is Outcome.BAD_CREDENTIAL


def _server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_tls(email: Make, authority: trustme.CA, tls: str) -> None:
    context = _server_context(authority)
    taker = Taker()
    options: dict[str, Any] = (
        {"implicit": context} if tls == "tls" else {"tls_context": context, "require_starttls": True}
    )
    async with serving(taker, **options):
        assert (await send(email(taker, tls=tls))).results[0].outcome is Outcome.OK


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_of_another_name_is_refused(email: Make, authority: trustme.CA, tls: str) -> None:
    context = _server_context(authority, "other.example")
    taker = Taker()
    async with serving(taker, **({"implicit": context} if tls == "tls" else {"tls_context": context})):
        [result] = (await send(email(taker, tls=tls))).results
    assert result.outcome is Outcome.BAD_CREDENTIAL
    assert "certificate" in result.reason + result.advice
    assert taker.mails == []


async def test_a_server_without_starttls_gets_no_mail_in_the_clear(
    email: Make, taker: Taker, authority: trustme.CA
) -> None:
    [result] = (await send(email(taker, tls="starttls"))).results
    assert (result.outcome, result.everybody) == (Outcome.BAD_CREDENTIAL, True)
    assert taker.mails == []


async def test_nobody_there_and_private_addresses(email: Make, taker: Taker) -> None:
    [result] = (await send(email(taker, port=9))).results
    assert (result.outcome, result.everybody) == (Outcome.TRANSIENT, True)
    [result] = (await send(email(taker, host="10.0.0.1"))).results
    assert result.outcome is Outcome.BAD_CREDENTIAL
    assert "allowed_private" in result.reason
    with pytest.raises(Problem, match="allowed_private"):
        await email(taker, host="169.254.169.254").check()


async def test_another_base(email: Make, taker: Taker) -> None:
    made = email(taker, host="mail.example.com", port=0, base_url=f"smtp://127.0.0.1:{taker.port}")
    assert (await send(made)).results[0].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"host": ""}, "name of a mail server"),
        ({"host": "a b"}, "name of a mail server"),
        ({"host": "https://a.example"}, "name of a mail server"),
        ({"port": 70_000}, "between 1 and 65535"),
        ({"tls": "maybe"}, "Invalid enum"),
        ({"user": "ann"}, "given together"),
        ({"sender": "nobody"}, "is a mail address"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "is a mail address"),
        ({"base_url": "http://a.example"}, "smtp://"),
        ({"colour": "red"}, "unknown field"),
    ],
)
def test_wrong_credentials_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({"host": "mail.example", "sender": "a@b.example", **given}, EmailCredentials)


def test_the_password_is_shown_nowhere() -> None:
    given = EmailCredentials(host="mail.example", sender="a@b.example", user="ann", password="s3cret")
    assert "s3cret" not in repr(given)
    assert {"password"} == KIND.secret
