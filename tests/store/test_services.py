"""Service conversations in the database: streams, what is merged with them, and erasing."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.values import (
    Arrived,
    Conversation,
    ConversationKind,
    Decision,
    Draft,
    Edit,
    HistoryRange,
    Message,
    Standing,
    Stored,
    Unread,
)
from hongyan.errors import Refused
from hongyan.store import Store, sweep
from tests.store.conftest import OpenStore
from tests.store.steps import (
    APP,
    NOON,
    Wall,
    batches,
    held,
    on_driver,
    rows,
    send,
    service,
    start,
    submit,
    traced,
)


async def subscribe(store: Store, conversation: Conversation, client: str, by: str = "") -> None:
    await store.services.subscribe(conversation, client, by or client, lambda changed: None)


@pytest.fixture
def running(wall: Wall) -> Iterator[None]:
    """The wall clock goes on at each look."""
    looks = itertools.count(wall.at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wall, "__call__", lambda self: next(looks))
        yield


async def tell(store: Store, conversation: Conversation, text: str, *clients: str, sender: str = "app") -> Stored:
    streams = [await store.services.stream(conversation, client) for client in clients]
    return (await store.services.send(streams, sender, Draft(text), lambda places: None))[0]


async def unread(store: Store, client: str, since: int | None = None, limit: int = 50) -> list[Unread]:
    return (await store.messages.unread(APP, client, since, limit, services=True))[0]


async def history(store: Store, conversation: Conversation, client: str) -> list[str | bytes]:
    return [m.content for m in await store.services.page(conversation, client, HistoryRange(limit=100))]


async def mark_read(store: Store, conversation: Conversation, client: str, upto: int | None = None) -> Unread:
    told: list[Unread] = []
    await store.services.mark_read(conversation, client, upto, lambda state, at: told.append(state), None)
    return told[0]


async def refusal(awaitable: Any) -> errors.Kind:
    with pytest.raises(Refused) as refused:
        await awaitable
    return refused.value.kind


# streams


async def test_a_stream_is_made_once_and_kept(open_store: OpenStore) -> None:
    store = open_store()
    news = await service(store)
    found = await asyncio.gather(*(store.services.stream(news, "ann") for _ in range(3)))
    assert len({stream.key for stream in found}) == 1
    assert (found[0].id, found[0].members, len(found[0].stream)) == (news.id, {"ann"}, 32)
    await store.close()
    again = await open_store().services.stream(news, "ann")
    assert (again.key, again.stream) == (found[0].key, found[0].stream)


async def test_a_stream_has_an_id_that_nobody_finds(store: Store) -> None:
    news = await service(store)
    stream = await store.services.stream(news, "ann")
    assert await store.conversations.load(APP, stream.stream) is None
    assert await store.info.member_of(APP, "ann", [stream.stream, news.id]) == set()


async def test_places_in_a_stream_whoever_writes(store: Store, path: Path) -> None:
    """What one client says goes another way than what it is told: both in one batch and after each other."""
    news = await service(store)
    ann, bob = [await store.services.stream(news, client) for client in ("ann", "bob")]
    await send(store, ann, "ann", "1")
    async with held(store):
        outcomes = [submit(store, ann, "ann", "2")]
        telling = store.services.send([bob, ann], "app", Draft("3"), lambda places: None)
        outcomes.append(submit(store, ann, "ann", "4"))
    await telling
    assert [type(await outcome) for outcome in outcomes] == [Stored, Stored]
    await send(store, ann, "ann", "5")
    found = rows(
        path,
        "SELECT seq, CAST(substr(body, 2) AS TEXT) FROM message WHERE conversation = ? ORDER BY timestamp",
        ann.key,
    )
    assert found == [(number, str(number)) for number in range(1, 6)]
    ((at_bob, id_bob), (at_ann, id_ann)) = rows(
        path, "SELECT timestamp, id FROM message WHERE substr(body, 2) = CAST('3' AS BLOB)"
    )
    assert (at_bob, id_bob) == (at_ann, id_ann)


async def test_a_stream_too_far_ahead_refuses_the_message_to_all(store: Store, wall: Wall) -> None:
    news = await service(store)
    ann, bob = [await store.services.stream(news, client) for client in ("ann", "bob")]
    await on_driver(
        store,
        lambda driver: driver.execute(
            "UPDATE conversation SET last_message_at = ? WHERE key = ?", (wall.at + 5_000, ann.key)
        ),
    )
    sending = store.services.send([bob, ann], "app", Draft("x"), lambda places: None)
    assert await refusal(sending) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    assert await history(store, news, "bob") == []


async def test_what_is_told_shares_the_statements_of_its_batch(store: Store) -> None:
    news = await service(store)
    clients = [f"client{number}" for number in range(64)]
    streams = [await store.services.stream(news, client) for client in clients]
    statements = await traced(store)
    async with held(store):
        sending = [
            submit(store, streams[0], clients[0], "up"),
            *(store.services.send(streams[at : at + 2], "app", Draft("x"), lambda places: None) for at in range(63)),
        ]
    await asyncio.gather(*sending)
    assert batches(statements)[-1] == [
        "BEGIN IMMEDIATE",
        "SELECT conversation",
        "SELECT conversation",  # whether the client may write
        "INSERT message",
        "UPDATE conversation",
        "UPDATE member",
        "COMMIT",
    ]
    assert [await history(store, news, client) for client in clients[:2]] == [["up", "x"], ["x", "x"]]


async def test_one_refused_to_all_leaves_the_rest_of_its_batch(store: Store, wall: Wall) -> None:
    """Not even a place is taken: what follows in the same batch has the next one."""
    news = await service(store)
    ann, bob, cem = [await store.services.stream(news, client) for client in ("ann", "bob", "cem")]
    ahead = "UPDATE conversation SET last_message_at = ? WHERE key = ?"
    await on_driver(store, lambda driver: driver.execute(ahead, (wall.at + 5_000, ann.key)))
    async with held(store):
        first, refused, last = [
            store.services.send(streams, "app", Draft(text), lambda places: None)
            for text, streams in (("1", [bob]), ("x", [bob, ann]), ("2", [bob, cem]))
        ]
    assert await refusal(refused) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    assert [place.seq for place in (*await first, *await last)] == [1, 2, 1]
    assert [await history(store, news, client) for client in ("bob", "cem")] == [["1", "2"], ["2"]]


# subscribers


@pytest.mark.parametrize("by", ["ann", ""])
async def test_who_is_blocked_does_not_subscribe(store: Store, by: str) -> None:
    news, blocked = await service(store), Standing(blocked_at=1)
    await store.standings.change(news, ["ann"], lambda now: Decision({"ann": blocked}), lambda changed: None)
    subscribing = store.services.subscribe(news, "ann", by, lambda changed: None)
    assert await refusal(subscribing) is errors.BLOCKED_BY_CONV
    assert await store.services.count(news) == 0


async def test_who_refuses_a_conversation_is_subscribed_by_itself_alone(store: Store) -> None:
    news = await service(store)
    await store.blacklists.refuse(APP, "ann", [news], 9, lambda: None)
    subscribing = store.services.subscribe(news, "ann", "", lambda changed: None)
    assert await refusal(subscribing) is errors.BLOCKED_BY_CONV
    await store.services.subscribe(news, "ann", "ann", lambda changed: None)
    assert await store.services.count(news) == 1
    assert await store.blacklists.refused(APP, "ann", 0, 9) == []


async def test_subscribers_are_walked_in_order(store: Store) -> None:
    news, other = await service(store), await service(store)
    for client in ("bob", "ann", "cem", "ann"):
        await subscribe(store, news, client)
    await subscribe(store, other, "dan")
    found = await store.services.subscribers(news, "", 2)
    assert [each.client for each in found] == ["ann", "bob"]
    assert [each.client for each in await store.services.subscribers(news, "bob", 2)] == ["cem"]
    assert await store.services.count(news) == 3
    assert await store.services.subscriptions(APP, "ann", {news.key, other.key}) == [news.key]
    assert await store.services.subscriptions(APP, "ann", set()) == []


async def test_a_login_reads_its_subscriptions_from_an_index_alone(store: Store) -> None:
    plan = await on_driver(
        store,
        lambda driver: driver.execute(
            "EXPLAIN QUERY PLAN SELECT conversation FROM member WHERE app = ? AND client = ?", (APP, "ann")
        ).fetchall(),
    )
    assert "USING COVERING INDEX member_by_client" in plan[0][-1]


async def test_a_message_to_an_app_without_services_costs_no_statement_more(store: Store) -> None:
    talk = await start(store, "ann", "bob")
    await send(store, talk, "ann")
    statements = await traced(store)
    await send(store, talk, "ann")
    store.messages.mark_received(talk, "bob", Arrived(0, 1 << 60), lambda receipts: None)
    await store.writer.call(lambda bound: None)
    assert not [statement for statement in statements if "parent" in statement or "c.id" in statement]


# counts and marks


async def test_counts_of_both_together_and_the_latest_first(store: Store, wall: Wall) -> None:
    news, shop, talk = await service(store), await service(store), await start(store, "ann", "bob")
    await send(store, news, "app", "before")
    await subscribe(store, news, "ann")
    for text in ("n1", "n2"):
        await send(store, news, "app", text)
    wall.at += 1
    await tell(store, shop, "s1", "ann")
    wall.at += 1
    await send(store, talk, "bob", "t1")
    wall.at += 1
    await tell(store, news, "n3", "ann")
    states = await unread(store, "ann")
    assert [
        (state.conversation_id, state.count, state.last_message and state.last_message.content) for state in states
    ] == [
        (news.id, 3, "n3"),
        (talk.id, 1, "t1"),
        (shop.id, 1, "s1"),
    ]
    assert [state.kind for state in states] == [
        ConversationKind.SERVICE,
        ConversationKind.NORMAL,
        ConversationKind.SERVICE,
    ]
    assert [state.conversation_id for state in await unread(store, "ann", limit=2)] == [news.id, talk.id]
    assert await unread(store, "bob") == []
    assert await unread(store, "ann", since=wall.at) == []
    assert [state.conversation_id for state in await unread(store, "ann", since=wall.at - 1)] == [news.id]


async def test_marks_move_in_both(store: Store, wall: Wall) -> None:
    news = await service(store)
    await subscribe(store, news, "ann")
    stream = await store.services.stream(news, "ann")
    places = []
    for number in range(6):
        wall.at += 10
        places.append(await (send(store, news, "app", "all") if number % 2 else tell(store, news, "alone", "ann")))
    assert (await mark_read(store, news, "ann", places[1].timestamp)).count == 4
    await send(store, stream, "ann", "own words")
    state = await mark_read(store, news, "ann", places[2].timestamp)
    assert (state.count, state.last_seq, state.stream) == (3, 3, (stream.stream, 4))
    assert (await mark_read(store, news, "ann", 0)).count == 3
    assert (await mark_read(store, news, "ann")).count == 0
    assert await refusal(store.services.mark_read(news, "bob", None, lambda state, at: None, None)) is (
        errors.CONVERSATION_MEMBERSHIP_REQUIRED
    )


@pytest.mark.parametrize("subscribed", [True, False])
async def test_marks_of_who_has_one_of_both(store: Store, *, subscribed: bool) -> None:
    news = await service(store)
    if subscribed:
        await subscribe(store, news, "ann")
        await send(store, news, "app", "x")
    else:
        await tell(store, news, "x", "ann")
    assert [state.count for state in await unread(store, "ann")] == [1]
    assert (await mark_read(store, news, "ann")).count == 0
    assert await unread(store, "ann") == []


@pytest.mark.usefixtures("running")
async def test_what_was_received_counts_in_both(store: Store) -> None:
    news, other = await service(store), await service(store)
    await subscribe(store, news, "ann")
    places = [
        await send(store, news, "app", "1"),
        await tell(store, news, "2", "ann", "bob"),
        await tell(store, news, "3", "ann"),
    ]
    await tell(store, other, "4", "ann")

    async def missed() -> dict[str, list[str | bytes]]:
        found = await store.messages.missed(APP, "ann", 50, 20, 100)
        return {each.conversation_id: [message.content for message in each.messages] for each in found}

    assert await missed() == {news.id: ["1", "2", "3"], other.id: ["4"]}
    told: list[Any] = []
    store.messages.mark_received(news, "ann", Arrived(places[0].timestamp, places[1].timestamp), told.append)
    await store.writer.call(lambda bound: None)
    assert await missed() == {news.id: ["3"], other.id: ["4"]}
    assert [receipts.given for receipts in told] == [()]
    store.messages.mark_received(
        news, "ann", Arrived(places[2].timestamp, places[2].timestamp, places[2].id), told.append
    )
    await store.writer.call(lambda bound: None)
    assert await missed() == {other.id: ["4"]}
    acked = [m.acked_at is not None for m in await store.services.page(news, "bob", HistoryRange(limit=9))]
    assert acked == [True, False]


@pytest.mark.usefixtures("running")
async def test_missed_messages_of_both_are_one_page(store: Store) -> None:
    news = await service(store)
    await subscribe(store, news, "ann")
    for number in range(4):
        await send(store, news, "app", f"a{number}")
        await tell(store, news, f"b{number}", "ann")
    (found,) = await store.messages.missed(APP, "ann", 1, 5, 100)
    assert ([m.content for m in found.messages], found.more) == (["a0", "b0", "a1", "b1", "a2"], True)
    stream = await store.services.stream(news, "ann")
    assert found.places == {(news.id, 1), (news.id, 2), (news.id, 3), (stream.stream, 1), (stream.stream, 2)}


# history


async def test_every_page_of_messages_that_share_their_times(store: Store, wall: Wall) -> None:
    news = await service(store)
    await subscribe(store, news, "ann")
    for _ in range(12):
        wall.at += 1
        await send(store, news, "app", "a")
        await tell(store, news, "b", "ann")
    whole = await store.services.page(news, "ann", HistoryRange(limit=100))
    assert len({message.timestamp for message in whole}) < len(whole) == 24
    assert [(m.timestamp, m.id) for m in whole] == sorted((m.timestamp, m.id) for m in whole)
    for limit, newer in itertools.product((1, 2, 3, 7), (True, False)):
        assert await walked(store, news, limit, newer) == [m.id for m in whole], (limit, newer)
    edge = whole[11]
    included = HistoryRange(limit=1, newer=True, start=edge.timestamp, start_id=edge.id, start_included=True)
    assert [m.id for m in await store.services.page(news, "ann", included)] == [edge.id]
    between = HistoryRange(
        limit=100, start=whole[20].timestamp, start_id=whole[20].id, end=whole[3].timestamp, end_id=whole[3].id
    )
    assert [m.id for m in await store.services.page(news, "ann", between)] == [m.id for m in whole[4:20]]


async def walked(store: Store, conversation: Conversation, limit: int, newer: bool) -> list[str]:
    found: list[Message] = []
    start: dict[str, Any] = {}
    while page := await store.services.page(conversation, "ann", HistoryRange(limit=limit, newer=newer, **start)):
        found = found + page if newer else page + found
        edge = page[-1] if newer else page[0]
        start = {"start": edge.timestamp, "start_id": edge.id}
    return [message.id for message in found]


@pytest.mark.usefixtures("running")
async def test_history_by_type_of_message(store: Store) -> None:
    news = await service(store)
    await send(store, news, "app", '{"_lctype":-1}')
    await tell(store, news, '{"_lctype":2}', "ann")
    await send(store, news, "app", '{"_lctype":2,"x":1}')
    found = await store.services.page(news, "ann", HistoryRange(limit=9, lctype=2))
    assert [message.content for message in found] == ['{"_lctype":2}', '{"_lctype":2,"x":1}']


# erasing


async def erase(store: Store, conversation: Conversation) -> None:
    await store.conversations.erase(conversation, lambda: None)


COUNTS = "SELECT (SELECT count(*) FROM member), (SELECT count(*) FROM message), (SELECT count(*) FROM sent_token)"


async def fill(store: Store, conversation: Conversation, clients: Sequence[str]) -> None:
    for client in clients:
        await subscribe(store, conversation, client)
        stream = await store.services.stream(conversation, client)
        await send(store, stream, client, "up", token="t")
    await tell(store, conversation, "down", *clients)
    place = await send(store, conversation, "app", "all")
    await store.services.delete(conversation, clients[0], "app", place.id, place.timestamp)


async def test_what_is_erased_goes_little_by_little(
    open_store: OpenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "ROWS_MAX", 4)
    monkeypatch.setattr(sweep, "CHUNK", 2)
    monkeypatch.setattr(sweep, "STEP_TIME", 60.0)
    store = open_store()
    news, other, talk = await service(store), await service(store), await start(store, "ann", "bob")
    await fill(store, other, ["ann", "bob"])
    await send(store, talk, "ann")
    kept = rows(path, COUNTS)
    await fill(store, news, ["ann", "bob", "cem", "dan", "eva"])
    await erase(store, news)
    await erase(store, news)
    assert await store.conversations.load(APP, news.id) is None
    assert [state.conversation_id for state in await unread(store, "ann")] == [other.id]
    assert [each.conversation_id for each in await store.messages.missed(APP, "ann", 50, 20, 100)] == [other.id]
    assert await refusal(store.services.stream(news, "fay")) is errors.INVALID_MESSAGING_TARGET
    subscribing = store.services.subscribe(news, "fay", "fay", lambda changed: None)
    assert await refusal(subscribing) is errors.CONVERSATION_NOT_FOUND
    before = rows(path, COUNTS)[0]
    assert await store.sweep.clean()
    await store.close()
    store = open_store()  # it goes on where it was
    assert sorted(await store.services.keys()) == [(APP, news.key), (APP, other.key)]
    while rows(path, COUNTS)[0] == before:  # the streams are gone before what is in them
        assert await store.sweep.clean()
        assert [state.conversation_id for state in await unread(store, "ann")] == [other.id]
    assert sum(before) - sum(rows(path, COUNTS)[0]) <= 4
    while await store.sweep.clean():
        pass
    assert rows(path, COUNTS) == kept
    assert rows(path, "SELECT count(*) FROM hidden_message") == [(1,)]
    assert rows(path, "SELECT * FROM deleted_conversation") == []
    assert await store.services.keys() == [(APP, other.key)]
    assert [state.conversation_id for state in await unread(store, "ann")] == [other.id]
    newer = await service(store)
    assert newer.key > max(news.key, other.key)  # never the key of another


async def test_edits_of_what_was_erased_are_told_to_nobody(store: Store) -> None:
    news = await service(store)
    await subscribe(store, news, "ann")
    stream = await store.services.stream(news, "ann")
    for conversation in (news, stream):
        place = await send(store, conversation, "app", "x")
        edit = Edit(news.id, place.id, place.timestamp, Draft("y"))
        await store.edits.apply([(conversation, edit)], "app", lambda edited: None, checked=False)
    assert {cid async for page in store.edits.since(APP, "ann", 0) for cid, _ in page} == {news.id}
    await erase(store, news)
    assert [list(page) async for page in store.edits.since(APP, "ann", 0)] == [[]]


async def test_streams_that_are_left_of_one_that_is_gone_are_nobody_s_unread(store: Store) -> None:
    """Also where it was the app's only one, so that none are asked for any more."""
    conversation = await service(store)
    await tell(store, conversation, "hi", "bob")
    await on_driver(store, lambda driver: driver.execute("DELETE FROM conversation WHERE key = ?", (conversation.key,)))
    for since in (None, 0):
        assert await store.messages.unread(APP, "bob", since, 50) == ([], NOON - 1)


async def test_counting_the_subscribers_of_one_that_is_gone(store: Store) -> None:
    conversation = await service(store)
    await on_driver(store, lambda driver: driver.execute("DELETE FROM conversation WHERE key = ?", (conversation.key,)))
    assert await refusal(store.services.count(conversation)) is errors.CONVERSATION_NOT_FOUND
