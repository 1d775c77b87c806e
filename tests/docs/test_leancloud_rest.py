"""The table of the REST API is up to date, names tests that exist, and calls that are served."""

import pytest

from tests.docs.test_protocol import LINKS_MAX
from tools import leancloud_rest, protocol

POINTS = range(1, 16)
"""Those of the conformance checklist (REST reference 11)."""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_is_up_to_date(language: str) -> None:
    written = leancloud_rest.PAGES[language].read_text(encoding="utf-8")
    assert written == leancloud_rest.render(language), "run `make docs`"


def test_every_point_has_promises_or_an_issue() -> None:
    points = leancloud_rest.ROWS["points"]
    assert [point["number"] for point in points] == list(POINTS)
    assert [point["number"] for point in points if bool(point.get("promises")) == ("issue" in point)] == []


def test_every_promise_and_every_call_has_tests_that_exist() -> None:
    named = [*(protocol.tests_of_rule(promise) for promise in leancloud_rest.promises())]
    for tests in [*named, *leancloud_rest.calls().values()]:
        assert 1 <= len(tests) <= LINKS_MAX, tests
        assert [test for test in tests if test not in protocol.test_names()] == []


def test_every_call_is_served() -> None:
    named = {leancloud_rest.plain(call) for call in leancloud_rest.calls()}
    assert named - leancloud_rest.served() == set()
    assert len(named) == len(leancloud_rest.ROWS["calls"])


def test_every_call_of_messaging_has_a_row() -> None:
    """A new one must be named; what is left out here has the form of a call that is."""
    named = {leancloud_rest.plain(call) for call in leancloud_rest.calls()}
    forms = {
        "/1.2/rtm/chatrooms/{}/": "/1.2/rtm/conversations/{}/",
        "/1.2/rtm/service-conversations/{}/": "/1.2/rtm/conversations/{}/",
    }
    left = set()
    for call in leancloud_rest.served() - named:
        method, path = call.split()
        for name, like in forms.items():
            path = path.replace(name, like)
        if "/rtm/" in path and f"{method} {path}" not in named:
            left.add(call)
    assert left == ALIASES


ALIASES = {
    "POST /1.2/rtm/clients/online-check",
    "POST /1.2/rtm/clients/sign",
    "POST /1.1/rtm/broadcasts",
    "GET /1.1/rtm/broadcasts",
    "DELETE /1.1/rtm/broadcasts",
    "DELETE /1.1/rtm/broadcasts/{}",
    "DELETE /1.1/rtm/broadcast/{}",
}
"""Other names of calls that have a row."""


def test_a_promise_is_told_once_in_each_language() -> None:
    for language in leancloud_rest.PAGES:
        told = [promise[language] for promise in leancloud_rest.promises()]
        assert len(told) == len(set(told))
        assert [text for text in told if not text.strip() or "|" in text] == []
