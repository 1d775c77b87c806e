"""Write docs/reference/errors.md, in English and Chinese, from the table of errors itself."""

from pathlib import Path

from hongyan.errors import KINDS, Kind

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "errors.md", "zh": FOLDER / "errors.zh-CN.md"}

HEADS = {
    "en": """\
# Errors

[中文](errors.zh-CN.md)

What a client is told when a request is refused. On the websocket `reason` is the name and `detail` may say more; over
HTTP the body is `{"code", "error"}`. Try again: the same request may succeed later. Closes: may also come as the close
code of the connection.

| Code | Name | HTTP | Try again | Closes | What to do |
|---|---|---|---|---|---|
""",
    "zh": """\
# 错误

[English](errors.md)

请求被拒绝时客户端收到的内容。websocket 上 `reason` 为名称，`detail` 可能给出细节；HTTP 的响应体为 `{"code", "error"}`。
“可重试”：同一请求稍后可能成功。“关闭”：也可能作为连接的关闭码出现。

| 代码 | 名称 | HTTP | 可重试 | 关闭 | 处理办法 |
|---|---|---|---|---|---|
""",
}
YES = {"en": "yes", "zh": "是"}


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.code, kind.name))
    return HEADS[language] + "".join(_row(kind, language) for kind in kinds)


def _row(kind: Kind, language: str) -> str:
    yes = YES[language]
    advice = kind.advice_en if language == "en" else kind.advice_zh
    return (
        f"| {kind.code} | `{kind.name}` | {kind.status} | {yes if kind.retry else ''} "
        f"| {yes if kind.closes else ''} | {advice} |\n"
    )


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
