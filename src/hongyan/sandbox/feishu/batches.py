"""Messages to many people and departments at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.feishu.answers import Refusal, answer, asked_of
from hongyan.sandbox.feishu.checks import ContentChecker
from hongyan.sandbox.feishu.files import Files
from hongyan.sandbox.feishu.rates import Rates
from hongyan.sandbox.feishu.world import APP_NAME, DEPARTMENTS, PEOPLE

#: Of each kind of ids.
IDS_MAX = 200


@dataclass
class Batch:
    """Whom it was for, by their open ids."""

    shown: Shown
    people: list[str]
    recalled: bool = False


class Batches:
    """Who is outside of the range of the app gets nothing, which only the progress tells."""

    def __init__(self, board: Board, files: Files, content: ContentChecker, rates: Rates) -> None:
        self._board = board
        self._files = files
        self._content = content
        self._rates = rates
        self._batches: dict[str, Batch] = {}

    async def send(self, request: web.Request) -> web.Response:
        asked, size = await asked_of(request)
        type_ = asked.get("msg_type")
        content = asked.get("card") if type_ == "interactive" else asked.get("content")
        if type_ not in ("text", "image", "post", "share_chat", "interactive") or not isinstance(content, dict):
            raise Refusal(10003, "invalid msg_type or content")
        lists = {name: asked.get(f"{name}s") or [] for name in ("department_id", "open_id", "user_id", "union_id")}
        if not any(lists.values()) or any(len(ids) > IDS_MAX for ids in lists.values()):
            raise Refusal(10003, "open_ids, user_ids, union_ids, department_ids: 1 to 200")
        if size > 30 * 1024 * (5 if type_ == "text" else 1):
            raise Refusal(19036, "The message exceeds the size limit of 30KB")
        if type_ == "post":
            content = content.get("post")
        self._content.check(type_, content if isinstance(content, dict) else {})
        self._rates.pace("batch")
        people, invalid = _people(lists)
        names = [PEOPLE[each].name for each in people if PEOPLE[each].inside]
        id = f"bm-{self._board.new_id()}sandbox"
        shown = self._board.add(
            "feishu",
            "app",
            APP_NAME,
            names,
            str(type_),
            content,
            id=id,
            extra={**self._files.extra(content), "direct": True},
        )
        self._batches[id] = Batch(shown, people)
        return answer({"message_id": id, **{f"invalid_{name}s": ids for name, ids in invalid.items()}})

    def _of(self, request: web.Request) -> Batch:
        """Raises Refusal."""
        found = self._batches.get(request.match_info["id"])
        if found is None:
            raise Refusal(230030, "The message id is invalid, record not found.")
        return found

    async def progress(self, request: web.Request) -> web.Response:
        batch = self._of(request)
        sent = [each for each in batch.people if PEOPLE[each].inside]
        progress = {
            "valid_user_ids_count": len(batch.people),
            "success_user_ids_count": len(sent),
            "read_user_ids_count": len(batch.shown.read_by),
        }
        recalled = {"recall": batch.recalled, "recall_count": len(sent) if batch.recalled else 0}
        return answer({"batch_message_send_progress": progress, "batch_message_recall_progress": recalled})

    async def read(self, request: web.Request) -> web.Response:
        batch = self._of(request)
        counts = {"read_count": str(len(batch.shown.read_by)), "total_count": str(len(batch.people))}
        return answer({"read_user": counts})

    async def delete(self, request: web.Request) -> web.Response:
        batch = self._of(request)
        batch.recalled = True
        batch.shown.state = "recalled"
        self._board.changed(batch.shown)
        return answer()


def _people(lists: Mapping[str, Sequence[str]]) -> tuple[list[str], dict[str, list[str]]]:
    """The people by their open ids, and which ids are none."""
    people: dict[str, None] = {}
    invalid: dict[str, list[str]] = {}
    for name, ids in lists.items():
        invalid[name] = []
        for id in ids:
            if name == "department_id":
                found = [each.open_id for each in PEOPLE.values() if id in each.departments]
                known = id in DEPARTMENTS
            else:
                found = [each.open_id for each in PEOPLE.values() if each.ids()[name] == id]
                known = bool(found)
            people.update(dict.fromkeys(found))
            if not known:
                invalid[name].append(id)
    return list(people), invalid
