"""Write docs/reference/leancloud-rest.md, in English and Chinese: what the REST API promises, and the tests of that."""

import re
import tomllib
from typing import Any

from hongyan.api.openapi import document
from tools.protocol import FOLDER, links, one_or_more

PAGES = {"en": FOLDER / "leancloud-rest.md", "zh": FOLDER / "leancloud-rest.zh-CN.md"}
ROWS: dict[str, Any] = tomllib.loads((FOLDER / "leancloud-rest.toml").read_text(encoding="utf-8"))

WORDS = {
    "en": {
        "head": """\
# LeanCloud's REST API, promise by promise

[中文](leancloud-rest.zh-CN.md)

What an app's own server and SDKs may rely on, and the tests that try it. What Hongyan does otherwise stands in
[Move in from LeanCloud](../howto/move-from-leancloud.md#what-differs); `hongyan openapi` prints the whole interface.
An issue in place of a promise is the one that brings it.

## What holds for many calls

| | Promise | Tests |
|---|---|---|
""",
        "calls": """\
## Call by call

The numbers are those of our notes on the API. Calls without one are of LeanCloud's older interface, or of its storage
service.

| | Call | Tests |
|---|---|---|
""",
        "issue": "issue {}",
    },
    "zh": {
        "head": """\
# LeanCloud REST API 逐项对照

[English](leancloud-rest.md)

应用服务端与 SDK 可以依赖的行为，以及对应的测试。与 LeanCloud 的不同之处见
[从 LeanCloud 迁入](../howto/move-from-leancloud.zh-CN.md#有何不同)；`hongyan openapi` 输出完整接口说明。
以 issue 编号代替内容的条目由该 issue 补全。

## 通用约定

| | 约定 | 测试 |
|---|---|---|
""",
        "calls": """\
## 逐个接口

编号取自我们对该 API 的整理。没有编号的是 LeanCloud 的旧接口或存储服务接口。

| | 接口 | 测试 |
|---|---|---|
""",
        "issue": "issue {}",
    },
}


def promises() -> list[dict[str, Any]]:
    """All promises of all points."""
    return [promise for point in ROWS["points"] for promise in point.get("promises", [])]


def calls() -> dict[str, list[str]]:
    """Each call, as `METHOD /path`, and its tests."""
    return {_split(name)[1]: one_or_more(ROWS["calls"], name) for name in ROWS["calls"]}


def served() -> set[str]:
    """The calls that the server knows, in the same form; what a parameter of a path is called does not matter."""
    return {f"{method.upper()} {plain(path)}" for path, methods in document()["paths"].items() for method in methods}


def plain(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    words = WORDS[language]
    return "\n".join([words["head"] + _points(language, words), words["calls"] + _calls()])


def _points(language: str, words: dict[str, str]) -> str:
    rows = []
    for point in ROWS["points"]:
        name = f"{point['number']} {point[language]}"
        if "issue" in point:
            rows.append(f"| {name} | {words['issue'].format(point['issue'])} | |\n")
        for promise in point.get("promises", []):
            rows.append(f"| {name} | {promise[language]} | {links(one_or_more(promise, 'test'))} |\n")
            name = ""
    return "".join(rows)


def _calls() -> str:
    rows = ((*_split(name), links(one_or_more(ROWS["calls"], name))) for name in ROWS["calls"])
    return "".join(f"| {number} | `{call}` | {tests} |\n" for number, call, tests in rows)


def _split(name: str) -> tuple[str, str]:
    """The number of a call, empty if it has none, and the call."""
    number, method, path = re.fullmatch(r"(?:(.*) )?([A-Z]{3,6}) (\S+)", name).groups()  # type: ignore[union-attr]
    return number or "", f"{method} {path}"


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
