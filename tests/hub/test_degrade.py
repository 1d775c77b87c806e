"""Rewriting: everything that a message says is still said, and what was done is noted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.hub.content import (
    Article,
    Articles,
    Audio,
    Button,
    Card,
    Content,
    Field,
    File,
    Form,
    Image,
    Input,
    Link,
    Location,
    Markdown,
    Media,
    Mention,
    Table,
    Text,
    Video,
)
from hongyan.hub.degrade import RULES, Degrade, map_url, name_of, table_markdown
from hongyan.hub.markdown import Grid, Writer, parse, plain
from tests.support.hub import Around, Files

X = "https://x.example/"
CARD = Card(
    "Disk *full*",
    "On **db1**",
    level="error",
    image=Media(url=X + "a.png"),
    fields=(Field("Host", "db_1"), Field("Use", "97 %", short=True)),
    buttons=(Button("Open", url=X), Button("Done", id="done", confirm="Sure?")),
    form=Form("f", (Input("why", "Why?"),), submit="Send"),
    url=X + "card",
    footer="watcher",
)


@pytest.fixture
def degrade(around: Around) -> Degrade:
    return Degrade(around(), "m1")


@pytest.fixture
def bare(around: Around) -> Degrade:
    """Where there are no pages to press buttons on."""
    return Degrade(around(pages=False), "m1")


def rules(degrade: Degrade) -> set[str]:
    return {note.rule for note in degrade.notes}


@pytest.mark.parametrize(
    ("content", "markdown", "noted"),
    [
        (Text("1 * 2\n- 3"), "1 \\* 2\n\\- 3", set()),
        (Markdown("**a**", "T_1", "warning"), "### ⚠️ T\\_1\n\n**a**", {"level_to_sign"}),
        (Markdown("**a**"), "**a**", set()),
        (Image(Media(url=X + "a"), "a cat"), f"![a cat]({X}a)", {"image_to_markdown"}),
        (File(Media(url=X + "a_(1).pdf", name="a_(1).pdf")), f"[a\\_(1).pdf]({X}a_\\(1\\).pdf)", {"file_to_link"}),
        (Audio(Media(url=X)), f"[🔊 audio]({X})", {"audio_to_link"}),
        (Video(Media(url=X), "Demo", "two\nlines"), f"[▶ Demo]({X})\n\ntwo\nlines", {"video_to_link"}),
        (Link("T", X, "more", Media(url=X + "p")), f"[T]({X})\n\nmore\n\n![]({X}p)", {"link_to_markdown"}),
        (
            Location(39.9, 116.4, "故宫", "景山前街4号"),
            "[📍 故宫](https://uri.amap.com/marker?position=116.400000%2C39.900000&name=%E6%95%85%E5%AE%AB"
            "&coordinate=wgs84)\n\n景山前街4号",
            {"location_to_link"},
        ),
        (
            Articles((Article("A", X, "first"), Article("B", X + "b", image=Media(url=X + "p")))),
            f"**[A]({X})**\n\nfirst\n\n**[B]({X}b)**\n\n![]({X}p)",
            {"articles_to_markdown"},
        ),
        (Table(("a", "b"), (("1",), ("x|y", "z\nw"))), "| a | b |\n|---|---|\n| 1 |  |\n| x\\|y | z w |", set()),
        (
            CARD,
            f"### [🔴 Disk \\*full\\*]({X}card)\n\nOn **db1**\n\n![]({X}a.png)\n\n"
            "- **Host**: db\\_1\n- **Use**: 97 %\n\n"
            f"[Open]({X}) | [Done](https://hongyan.example/act/m1/done) | [Send](https://hongyan.example/act/m1/f)"
            "\n\n*watcher*",
            {
                "card_to_markdown",
                "level_to_sign",
                "fields_to_lines",
                "buttons_to_links",
                "confirm_dropped",
                "buttons_to_page",
                "form_to_page",
            },
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Content) else "",
)
async def test_as_markdown(degrade: Degrade, content: Content, markdown: str, noted: set[str]) -> None:
    assert await degrade.markdown(content) == markdown
    assert rules(degrade) == noted


@pytest.mark.parametrize(
    ("content", "text", "noted"),
    [
        (Text("**a** [b]"), "**a** [b]", set()),
        (Markdown("**a**", "T"), "T\n\na", {"markdown_to_text"}),
        (Image(Media(url=X), "a cat"), f"a cat ({X})", {"image_to_link"}),
        (File(Media(url=X, name="a.pdf")), f"a.pdf ({X})", {"file_to_link"}),
        (Link("T", X, "more"), f"T ({X})\n\nmore", {"link_to_text"}),
        (Articles((Article("A", X, "b"),)), f"A ({X})\n\nb", {"articles_to_text"}),
        (Table(("a", "b"), (("1", "2"), ("3",))), "a: 1\nb: 2\n\na: 3\nb: ", {"table_to_lines"}),
        (Card("T", "**a**", footer="f"), "T\n\na\n\nf", {"card_to_text"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Content) else "",
)
async def test_as_text(degrade: Degrade, content: Content, text: str, noted: set[str]) -> None:
    assert await degrade.text(content) == text
    assert rules(degrade) == noted


async def test_notes_from_before_stay(degrade: Degrade) -> None:
    degrade.note("card_to_markdown", "another")
    await degrade.text(Card("T"))
    assert [note.rule for note in degrade.notes] == ["card_to_markdown", "card_to_text"]


async def test_a_title_that_the_platform_shows_elsewhere(degrade: Degrade) -> None:
    assert await degrade.markdown(Markdown("a", "T"), title=False) == "a"
    assert await degrade.markdown(Card("T", "a"), title=False) == "a"
    assert await degrade.markdown(Table(("a",), (), "T"), title=False) == "| a |\n|---|"


async def test_buttons_where_there_are_no_pages(bare: Degrade) -> None:
    card = Card("T", buttons=(Button("Done", id="done"),), form=Form("f", (Input("a", "A"),), "Send"))
    assert await bare.markdown(card) == "### T\n\n**Done** | **Send**"
    assert rules(bare) >= {"no_page"}
    assert rules(bare).isdisjoint({"buttons_to_page", "form_to_page"})


async def test_files_that_were_uploaded_here(degrade: Degrade, files: Files) -> None:
    assert await degrade.text(Image(files.add("cat.png"))) == "cat.png (https://files.example/cat.png)"


def test_only_rules_of_the_catalogue_are_noted_and_each_once(degrade: Degrade) -> None:
    degrade.note("text_cut")
    degrade.note("text_cut")
    degrade.note("text_cut", "title")
    assert len(degrade.notes) == 2
    with pytest.raises(AssertionError):
        degrade.note("dropped")


def test_each_rule_has_a_sentence_in_both_languages() -> None:
    for english, chinese in RULES.values():
        assert not english.endswith(".")
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)


def test_cutting_is_noted(degrade: Degrade) -> None:
    assert degrade.cut("short", 5) == "short"
    assert degrade.notes == []
    assert degrade.cut("shorter", 6) == "short…"
    assert degrade.cut("title", 3, rule="title_cut") == "ti…"
    assert rules(degrade) == {"text_cut", "title_cut"}


def test_plain_says_whether_there_was_anything_to_rewrite(degrade: Degrade) -> None:
    assert degrade.plain("no marks") == "no marks"
    assert degrade.notes == []
    assert degrade.plain("**marks**") == "marks"
    assert rules(degrade) == {"markdown_to_text"}


def test_rules_of_a_writer_are_noted(degrade: Degrade) -> None:
    degrade.written("|a|\n|-|\n|1|", Writer())
    assert rules(degrade) == {"table_to_lines"}


@pytest.mark.parametrize(
    ("mention", "name"),
    [
        (Mention(user="u1", name="Tom"), "@Tom"),
        (Mention(user="u1"), "@u1"),
        (Mention(mobile="138"), "@138"),
        (Mention(email="a@b"), "@a@b"),
        (Mention(everyone=True), "@all"),
    ],
)
def test_names_in_texts(mention: Mention, name: str) -> None:
    assert name_of(mention) == name


def test_a_location_without_a_name() -> None:
    assert map_url(Location(-1.5, 2)).startswith(
        "https://uri.amap.com/marker?position=2.000000%2C-1.500000&name=-1.5%2C+2&"
    )


@given(st.lists(st.lists(st.text(alphabet="|\\*_`a: -\n<&;", max_size=12), min_size=2, max_size=2), max_size=4))
def test_tables_keep_their_cells(rows: list[list[str]]) -> None:
    table = Table(("a|b", "`"), tuple(tuple(row) for row in rows))
    (grid,) = parse(table_markdown(table))
    assert isinstance(grid, Grid)
    assert [plain(each) for each in grid.columns] == ["a|b", "`"]
    assert [[plain(cell) for cell in row] for row in grid.rows] == [[" ".join(c.split()) for c in row] for row in rows]
