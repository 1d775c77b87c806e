"""Write docs/reference/protocol.md, in English and Chinese: every command, operation and field, and the tests of each.

Fields come from the schema, commands and inferred rules from protocol.toml, tests from their `covers(...)` marks.
"""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor

from hongyan.wire.messages2_pb2 import GenericCommand

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
against a real server; each fails if what it is named for does not go over the wire. An issue in place of a test is
the one that fills the row.
""",
        "commands": """\
## Commands and operations

C: a client sends it. S: the server does. –: no SDK sends or expects it; it is answered with error 4114.

| Command | Sent by | Tests |
|---|---|---|
""",
        "fields": "## Fields\n",
        "table": "| No. | Field | Tests |\n|---|---|---|\n",
        "rules": """\
## Rules that no source states

LeanCloud's documents and SDKs leave these open. They were inferred, and each has a test whose name says so. Where
SDKs or deployments differ there is a [setting](configuration.md), where Hongyan differs from LeanCloud the rule says
so.

| Rule | Setting | Tests |
|---|---|---|
""",
        "issue": "issue {}",
        "unused": "no SDK uses it",
    },
    "zh": {
        "head": """\
# 协议逐行对照

[English](protocol.md)

鸿雁所实现的 LeanCloud 实时协议：schema 中的每个命令与字段，以及针对真实服务器的测试。
测试标注的内容若没有实际收发，该测试即失败。测试栏中的 issue 编号表示由该 issue 补全。
""",
        "commands": """\
## 命令与操作

C：客户端发出。S：服务端发出。–：没有 SDK 使用，一律返回错误 4114。

| 命令 | 发送方 | 测试 |
|---|---|---|
""",
        "fields": "## 字段\n",
        "table": "| 编号 | 字段 | 测试 |\n|---|---|---|\n",
        "rules": """\
## 无明文出处的规则

以下规则在 LeanCloud 的文档与 SDK 中均未说明，由我们推断得出；每条都有名称含 inferred 的测试。
SDK 或部署环境有差异之处，可通过[设置](configuration.zh-CN.md)调整；与 LeanCloud 不同之处已在规则中注明。

| 规则 | 设置 | 测试 |
|---|---|---|
""",
        "issue": "issue {}",
        "unused": "无 SDK 使用",
    },
}


def commands() -> dict[str, str]:
    """Each command with its operation, and who sends it: `C`, `S`, both, or `–`: nobody."""
    found: dict[str, str] = ROWS["commands"]
    return found


@cache
def fields() -> dict[str, int]:
    """Each field of the schema, as `Message.field`, and its number; a message stands after the first that has it."""
    return {f"{message.name}.{field.name}": field.number for message in _messages() for field in message.fields}


def _messages() -> list[Descriptor]:
    found: dict[str, Descriptor] = {}

    def visit(message: Descriptor) -> None:
        if message.name not in found:
            found[message.name] = message
            for field in message.fields:
                if field.message_type is not None:
                    visit(field.message_type)

    visit(GenericCommand.DESCRIPTOR)
    return list(found.values())


@cache
def later() -> dict[str, int]:
    """Rows without a test yet, and the issue that fills each; a message's name stands for all its fields."""
    marked = {row: int(issue) for issue, rows in ROWS["later"].items() for row in rows}
    parts = {name: issue for name in fields() if (issue := marked.get(name.partition(".")[0]))}
    return {name: issue for name, issue in (parts | marked).items() if name in fields() | commands()}


def unused() -> set[str]:
    """Fields that the schema has and no SDK uses; nothing depends on them."""
    return set(ROWS["unused"])


@cache
def covered() -> dict[str, list[str]]:
    """The tests that are marked with each row, as `tests/file.py::name`."""
    found: dict[str, list[str]] = {}
    for path, test in _tests():
        for row in _marks(test):
            found.setdefault(row, []).append(f"{path}::{test.name}")
    return found


@cache
def test_names() -> set[str]:
    """Every Python test, as `tests/file.py::name`."""
    return {f"{path}::{test.name}" for path, test in _tests()}


def tests_of_rule(rule: dict[str, Any]) -> list[str]:
    """The tests of an inferred rule, none while an issue is to give it one."""
    return one_or_more(rule, "test")


def settings_of_rule(rule: dict[str, Any]) -> list[str]:
    """The settings that change an inferred rule."""
    return one_or_more(rule, "setting")


def one_or_more(rule: dict[str, Any], key: str) -> list[str]:
    given = rule.get(key, [])
    return [given] if isinstance(given, str) else list(given)


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    words = WORDS[language]
    return "\n".join([words["head"], _commands(words), _fields(words), _rules(language, words)])


def _commands(words: dict[str, str]) -> str:
    rows = (f"| `{name}` | {who} | {_cell(name, words)} |\n" for name, who in commands().items())
    return words["commands"] + "".join(rows)


def _fields(words: dict[str, str]) -> str:
    parts = [words["fields"]]
    for message in _messages():
        rows = (
            f"| {field.number} | `{field.name}` | {_cell(f'{message.name}.{field.name}', words)} |\n"
            for field in message.fields
        )
        parts += [f"\n### {message.name}\n\n", words["table"], *rows]
    return "".join(parts)


def _rules(language: str, words: dict[str, str]) -> str:
    rows = (
        f"| {rule[language]} | {_settings(rule)} | {links(tests_of_rule(rule)) or _issue(rule['issue'], words)} |\n"
        for rule in ROWS["rules"]
    )
    return words["rules"] + "".join(rows)


def _settings(rule: dict[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in settings_of_rule(rule))


def _cell(row: str, words: dict[str, str]) -> str:
    """The tests of a row, or why it has none; empty if nobody answers for it."""
    if row in covered():
        return links(covered()[row])
    if row in later():
        return _issue(later()[row], words)
    return words["unused"] if row in unused() else ""


def _issue(number: int, words: dict[str, str]) -> str:
    return words["issue"].format(number)


def links(tests: list[str]) -> str:
    return ", ".join(map(_link, tests))


def _link(test: str) -> str:
    """Underscores become spaces: a name of twelve words does not fit into a column, a sentence does."""
    path, name = test.split("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../../{path})"


def _tests() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield path.relative_to(ROOT).as_posix(), node


def _marks(test: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The rows of a test's marks, of those of its parameters, too."""
    calls = [node for decorator in test.decorator_list for node in ast.walk(decorator) if isinstance(node, ast.Call)]
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.covers"]
    return {ast.literal_eval(row) for mark in marks for row in mark.args}


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
