"""`hongyan settings`: every setting, where it may be set, and what it means."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hongyan.config import FIELDS, Field

_HEADINGS = {
    "en": ("Setting", "Environment", "Value", "Default", "Meaning"),
    "zh": ("设置", "环境变量", "取值", "默认值", "含义"),
}


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of the reference page.")] = False,
    chinese: Annotated[bool, typer.Option("--chinese", help="In Chinese.")] = False,
) -> None:
    """List every setting with its default and meaning."""
    language = "zh" if chinese else "en"
    if markdown:
        typer.echo(markdown_table(language), nl=False)
        return
    table = Table(*_HEADINGS[language])
    for field in FIELDS.values():
        table.add_row(*_row(field, language, str))
    Console().print(table)


def markdown_table(language: str) -> str:
    """The table of the reference page, in `en` or `zh`."""
    rows = [_HEADINGS[language], ["---"] * 5]
    rows += [_row(field, language, lambda text: f"`{text}`") for field in FIELDS.values()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(field: Field, language: str, code: Callable[[str], str]) -> list[str]:
    default: Any = field.default
    shown = "" if default in (None, ()) else code(str(default))
    meaning = field.help_zh if language == "zh" else field.help
    values = field.values_zh if language == "zh" else field.values
    return [code(field.name), code(field.variable), values, shown, meaning]
