"""The access cache: who waits is served in order, a newer truth is never replaced by an older one."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine import access as module
from hongyan.engine.access import Access, Found, check_member
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.values import NO_STANDING, App, Conversation, ConversationKind, Standing
from hongyan.errors import Refused

APP = App(1, "test", "", "", "", "", AppSettings(), 0)


def conversation(id: str = "talk", version: int = 1, members: Sequence[str] = ("ann", "bob")) -> Conversation:
    return Conversation(7, APP.key, id, ConversationKind.NORMAL, version, set(members))


class Loads:
    """A store whose every load is answered when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self._answers: asyncio.Queue[Conversation | Exception | None] = asyncio.Queue()

    async def load(self, app_key: int, conversation_id: str) -> Conversation | None:
        self.asked.append((app_key, conversation_id))
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def answer(self, found: Conversation | Exception | None) -> None:
        """Answers the oldest load that waits, and lets the cache take note."""
        self._answers.put_nowait(found)
        await settle()


async def settle() -> None:
    """Lets every task that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def access(loads: Loads) -> Access:
    store: Any = loads
    return Access(store, Clock())


async def loaded(access: Access, loads: Loads, found: Conversation) -> Conversation:
    """Has the conversation loaded."""
    asking = asyncio.ensure_future(access.conversation(APP, found.id))
    await settle()
    await loads.answer(found)
    return await asking


async def test_who_waits_for_one_load_is_served_in_order(access: Access, loads: Loads) -> None:
    served: list[tuple[int, Found]] = []
    for number in range(3):
        access.with_conversation(APP, "talk", lambda found, n=number: served.append((n, found)))
    await settle()
    assert served == []
    talk = conversation()
    await loads.answer(talk)
    access.with_conversation(APP, "talk", lambda found: served.append((3, found)))
    assert served == [(0, talk), (1, talk), (2, talk), (3, talk)]
    assert loads.asked == [(APP.key, "talk")]


async def test_who_waits_is_served_before_who_comes_after_it_was_found_in_a_write(access: Access, loads: Loads) -> None:
    served: list[tuple[str, Found]] = []
    access.with_conversation(APP, "talk", lambda found: served.append(("first", found)))
    await settle()
    talk = access.known(conversation(version=2))
    access.with_conversation(APP, "talk", lambda found: served.append(("second", found)))
    assert served == []
    await loads.answer(conversation(version=1))
    assert served == [("first", talk), ("second", talk)]


async def test_conversations_do_not_wait_for_each_other(access: Access, loads: Loads) -> None:
    served: list[Found] = []
    access.with_conversation(APP, "slow", served.append)
    await loaded(access, loads, conversation("slow"))
    asking = [asyncio.ensure_future(access.conversation(APP, id)) for id in ("one", "two")]
    await settle()
    assert loads.asked[1:] == [(APP.key, "one"), (APP.key, "two")]
    for id in ("one", "two"):
        await loads.answer(conversation(id))
    assert [found.id for found in await asyncio.gather(*asking)] == ["one", "two"]


async def test_what_is_not_there_is_asked_for_again(access: Access, loads: Loads) -> None:
    for _ in range(2):
        asking = asyncio.ensure_future(access.conversation(APP, "absent"))
        await settle()
        await loads.answer(None)
        with pytest.raises(Refused) as refusal:
            await asking
        assert refusal.value.kind is errors.CONVERSATION_NOT_FOUND
    assert len(loads.asked) == 2


async def test_what_cannot_be_read_is_not_taken_for_absent(
    access: Access, loads: Loads, caplog: pytest.LogCaptureFixture
) -> None:
    asking = [asyncio.ensure_future(access.conversation(APP, "talk")) for _ in range(2)]
    await settle()
    await loads.answer(OSError("no"))
    for each in asking:
        with pytest.raises(Refused) as refusal:
            await each
        assert refusal.value.kind is errors.INTERNAL_ERROR
    assert [record.message for record in caplog.records] == ["a conversation could not be read"]
    assert (await loaded(access, loads, conversation())).id == "talk"


async def test_a_waiter_that_fails_keeps_no_other_from_being_served(
    access: Access, loads: Loads, caplog: pytest.LogCaptureFixture
) -> None:
    served: list[Found] = []
    access.with_conversation(APP, "talk", lambda _: 1 / 0 and None)
    access.with_conversation(APP, "talk", served.append)
    await settle()
    await loads.answer(conversation())
    assert len(served) == 1
    assert [record.message for record in caplog.records] == ["a use of a conversation failed"]


async def test_a_load_overtaken_by_a_change_is_done_again(access: Access, loads: Loads) -> None:
    served: list[Found] = []
    asked_with = conversation(version=1)
    access.with_conversation(APP, "talk", served.append)
    await settle()
    access.changed(asked_with, 2, set(), {"bob"})
    await loads.answer(conversation(version=1))
    assert served == []
    access.with_conversation(APP, "talk", served.append)
    access.changed(asked_with, 3, {"cem"}, set())
    await loads.answer(conversation(version=2, members=("ann",)))
    assert served == []
    now = conversation(version=3, members=("ann", "cem"))
    await loads.answer(now)
    assert served == [now, now]
    assert (now.version, now.members, len(loads.asked)) == (3, {"ann", "cem"}, 3)


async def test_a_change_is_applied_once(access: Access, loads: Loads) -> None:
    """Also when the load had seen it before it was told."""
    talk = await loaded(access, loads, conversation(version=2, members=("ann", "cem")))
    access.changed(talk, 2, {"cem"}, set())
    access.changed(talk, 1, set(), {"cem"})
    assert (talk.version, talk.members) == (2, {"ann", "cem"})
    access.changed(talk, 3, {"dan"}, {"ann"})
    assert (talk.version, talk.members) == (3, {"cem", "dan"})


async def test_a_change_reaches_the_one_asked_with_and_the_one_in_memory(access: Access, loads: Loads) -> None:
    """They differ when it was dropped and loaded again meanwhile; messages on their way hold either."""
    talk, older = await loaded(access, loads, conversation()), conversation()
    access.changed(older, 2, {"cem"}, {"bob"})
    assert talk.members == older.members == {"ann", "cem"}
    assert talk.version == older.version == 2


async def test_a_conversation_just_made_is_in_memory(access: Access, loads: Loads) -> None:
    talk = conversation()
    assert access.known(talk) is talk
    assert await access.conversation(APP, "talk") is talk
    assert loads.asked == []


async def test_one_that_was_found_gives_way_to_a_newer_one(access: Access, loads: Loads) -> None:
    talk = await loaded(access, loads, conversation(version=3))
    assert access.known(conversation(version=2)) is talk
    assert access.known(conversation(version=3)) is talk
    newer = conversation(version=4)
    assert access.known(newer) is newer
    assert await access.conversation(APP, "talk") is newer


def test_members_only() -> None:
    check_member(conversation(), "ann", errors.CONVERSATION_LOG_REJECTED)
    with pytest.raises(Refused) as refusal:
        check_member(conversation(), "cem", errors.CONVERSATION_LOG_REJECTED)
    assert refusal.value.kind is errors.CONVERSATION_LOG_REJECTED


async def in_memory(access: Access, loads: Loads, *ids: str) -> list[str]:
    """Which of these are answered without a load."""
    found: list[str] = []
    for id in ids:
        served: list[Found] = []
        access.with_conversation(APP, id, served.append)
        if served:
            found.append(id)
        else:
            await settle()
            await loads.answer(None)
    return found


async def test_what_was_not_used_for_longest_is_dropped(
    access: Access, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONVERSATIONS_MAX", 3)
    for id in ("a", "b", "c"):
        access.known(conversation(id))
    await access.conversation(APP, "a")
    access.known(conversation("d"))
    assert await in_memory(access, loads, "a", "b", "c", "d") == ["a", "c", "d"]


async def test_large_conversations_count_for_their_members(
    access: Access, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMBERS_MAX", 6)
    for id in ("a", "b", "c"):
        access.known(conversation(id))
    assert await in_memory(access, loads, "a", "b", "c") == ["a", "b", "c"]
    access.changed(conversation("c"), 2, {"dan"}, set())
    access.known(conversation("d", members=("ann",)))
    assert await in_memory(access, loads, "a", "b", "c", "d") == ["b", "c", "d"]
    access.changed(conversation("c", version=2), 3, set(), {"ann", "bob", "dan"})
    access.known(conversation("e", members=("ann", "bob", "cem")))
    assert await in_memory(access, loads, "b", "c", "d", "e") == ["b", "c", "d", "e"]
    huge = conversation("huge", members=[f"client{n}" for n in range(100)])
    access.known(huge)
    assert await in_memory(access, loads, "b", "c", "d", "e", "huge") == ["huge"]
    access.known(conversation("f"))
    assert await in_memory(access, loads, "huge", "f") == ["f"]


async def test_they_count_for_those_about_whom_something_is_set(
    access: Access, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMBERS_MAX", 6)
    for id in ("a", "b", "c"):
        access.known(conversation(id))
    blocked = {f"client{n}": Standing(blocked_at=1) for n in range(3)}
    access.changed(conversation("c"), 2, set(), set(), blocked)
    access.known(conversation("d", members=()))
    assert await in_memory(access, loads, "a", "b", "c", "d") == ["c", "d"]
    access.changed(conversation("c", version=2), 3, set(), set(), dict.fromkeys(blocked, NO_STANDING))
    access.known(conversation("e", members=("ann", "bob", "cem", "dan")))
    assert await in_memory(access, loads, "c", "d", "e") == ["c", "d", "e"]
