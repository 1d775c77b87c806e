"""Parsers raise nothing but what they say, whatever they read."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine import json_text, query
from hongyan.engine.values import new_message_id
from hongyan.errors import Refused
from hongyan.store import conversation_query, database, sqlite_json, versions
from tests.fuzz.inputs import WORDS, attributes, conditions, damaged
from tests.fuzz.parsers import APP, PARSERS, SESSIONS

TOKEN, _ = SESSIONS.issue(APP, SESSIONS.new_ticket("tom", "", "", 0))
#: Texts near the ones that are right.
NEARLY = [
    *(TOKEN, new_message_id(1_700_000_000_000), "-lm,name", "lc.protobuf2.3, x"),
    *("1700000000000", "50", "٣", "1" * 16, '{"cid":"x","clientId":"tom"}', '{"cid":"x","peerId":""}'),
    '{"query":{"className":"_Conversation","where":{"m":"tom"},"keys":"name,attr.a"},"id":"an-id-of-16-chars"}',
    *WORDS,
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def texts_nearly_right(draw: st.DrawFn) -> str:
    """A text with a piece cut out or replaced."""
    text = draw(st.sampled_from(NEARLY) | conditions() | attributes)
    start = draw(st.integers(0, len(text)))
    end = draw(st.just(start) | st.integers(start, len(text)))
    return (text[:start] + draw(texts | st.just("")) + text[end:]).encode("utf-8", "replace").decode()


INPUTS: dict[type, st.SearchStrategy[Any]] = {
    bytes: st.binary(max_size=60) | damaged(),
    str: texts | st.sampled_from(NEARLY) | texts_nearly_right(),
}


@pytest.mark.parametrize("takes", INPUTS, ids=lambda takes: takes.__name__)
@settings(max_examples=300)
@given(data=st.data())
def test_parsers_refuse_or_read(takes: type, data: st.DataObject) -> None:
    """All of them the same input: to make one takes longer than most parsers do."""
    given = data.draw(INPUTS[takes])
    for name in [name for name, parser in PARSERS.items() if parser.takes is takes]:
        refuses_or_reads(name, given)


def refuses_or_reads(name: str, given: bytes | str) -> None:
    """Raises whatever else the parser does; its name stands with it."""
    said = ""
    try:
        PARSERS[name].read(given)
    except PARSERS[name].refuses as refusal:
        said = str(refusal)
    except Exception as error:
        error.add_note(f"parser: {name}")
        raise
    assert len(said) < 300, f"{name}: a refusal repeats what it was given"


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Connection]:
    """A database without conversations, as readers see it."""
    path = tmp_path_factory.mktemp("conditions") / "hongyan.db"
    versions.migrate(path)

    def connect() -> Any:
        connection = database.connect(path, read_only=True)
        sqlite_json.install(connection, lambda: False)
        return connection

    engine = database.engine(connect, sa.pool.StaticPool)
    with engine.connect() as bound:
        yield bound
    engine.dispose()


@given(text=conditions())
def test_a_condition_that_was_read_can_be_answered(conversations: sa.Connection, text: str) -> None:
    try:
        asked = query.parse("tom", text)
    except Refused:
        return
    assert conversation_query.run(conversations, 1, "tom", asked) == []


@given(text=conditions() | attributes)
def test_json_that_was_read_can_be_written_and_read_again(text: str) -> None:
    try:
        value = json_text.parse(text)
    except ValueError:
        return
    again = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8").decode("utf-8")
    assert json_text.parse(again) == value
