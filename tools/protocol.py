"""Write docs/reference/protocol.md, in English and Chinese: every command, operation and field, and the tests of each.

Fields come from the schema, commands and inferred rules from protocol.toml, tests from their `covers(...)` marks.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hongyan.wire import messages2_pb2 as pb

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
PAGES = {"en": FOLDER / "protocol.md", "zh": FOLDER / "protocol.zh-CN.md"}
ROWS: dict[str, Any] = tomllib.loads((FOLDER / "protocol.toml").read_text(encoding="utf-8"))

WORDS = {
    "en": {
        "head": """\
# The protocol, row by row

[中文](protocol.zh-CN.md)

LeanCloud's realtime protocol as Hongyan speaks it: every command and field of the schema, and the tests that try it
against a real server. A number in place of a test is the issue that fills the row.
""",
        "commands": "## Commands and operations\n\nC: by the client. S: by the server.\n\n| Command | Sent | Tests |\n",
        "fields": "## Fields\n\n| Field | Number | Tests |\n",
        "rules": """\
## Rules that no source states

LeanCloud's documents and SDKs leave these open. They were inferred, and each has a test whose name says so.

| Rule | Setting | Test |
""",
        "issue": "issue {}",
        "unused": "no SDK uses it",
    },
    "zh": {
        "head": """\
# 协议逐行对照

[English](protocol.md)

鸿雁所实现的 LeanCloud 实时协议：schema 中的每个命令与字段，以及针对真实服务器的测试。
测试栏中的编号表示补全该行的 issue。
""",
        "commands": "## 命令与操作\n\nC：客户端发出。S：服务端发出。\n\n| 命令 | 方向 | 测试 |\n",
        "fields": "## 字段\n\n| 字段 | 编号 | 测试 |\n",
        "rules": """\
## 无明文出处的规则

以下规则在 LeanCloud 的文档与 SDK 中均未说明，由我们推断得出；每条都有名称含 inferred 的测试。

| 规则 | 设置 | 测试 |
""",
        "issue": "issue {}",
        "unused": "无 SDK 使用",
    },
}


def commands() -> dict[str, str]:
    """Each command with its operation, and who sends it: `C`, `S` or both."""
    found: dict[str, str] = ROWS["commands"]
    return found


def fields() -> dict[str, int]:
    """Each field of the schema, as `Message.field`, and its number."""
    messages = pb.DESCRIPTOR.message_types_by_name.values()
    return {f"{message.name}.{field.name}": field.number for message in messages for field in message.fields}


def later() -> dict[str, int]:
    """Rows without a test yet, and the issue that fills each; a message's name stands for all its fields."""
    marked = {row: int(issue) for issue, rows in ROWS["later"].items() for row in rows}
    parts = {name: issue for name in fields() if (issue := marked.get(name.partition(".")[0]))}
    return {name: issue for name, issue in (parts | marked).items() if name in fields() | commands()}


def unused() -> set[str]:
    """Fields that the schema has and no SDK uses; nothing depends on them."""
    return set(ROWS["unused"])


def covered() -> dict[str, list[str]]:
    """The tests that are marked with each row, as `tests/file.py::name`."""
    found: dict[str, list[str]] = {}
    for path, test in _tests():
        for row in _marks(test):
            found.setdefault(row, []).append(f"{path}::{test.name}")
    return found


def test_names() -> set[str]:
    """Every Python test, as `tests/file.py::name`."""
    return {f"{path}::{test.name}" for path, test in _tests()}


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    words, tests = WORDS[language], covered()
    parts = [
        words["head"],
        words["commands"] + "|---|---|---|\n",
        *(f"| `{name}` | {who} | {_cell(name, tests, words)} |\n" for name, who in commands().items()),
        words["fields"] + "|---|---|---|\n",
        *(f"| `{name}` | {number} | {_cell(name, tests, words)} |\n" for name, number in fields().items()),
        words["rules"] + "|---|---|---|\n",
        *(f"| {rule[language]} | {rule.get('setting', '')} | {_rule_cell(rule, words)} |\n" for rule in ROWS["rules"]),
    ]
    return "".join(f"\n{part}" if part.startswith("##") else part for part in parts)


def _cell(row: str, tests: dict[str, list[str]], words: dict[str, str]) -> str:
    if row in tests:
        return " · ".join(_link(test) for test in sorted(tests[row]))
    if row in later():
        return words["issue"].format(later()[row])
    return words["unused"] if row in unused() else ""


def _rule_cell(rule: dict[str, Any], words: dict[str, str]) -> str:
    return _link(rule["test"]) if "test" in rule else words["issue"].format(rule["issue"])


def _link(test: str) -> str:
    path, name = test.split("::")
    return f"[{name.removeprefix('test_')}](../../{path})"


def _tests() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield path.relative_to(ROOT).as_posix(), node


def _marks(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.covers":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
