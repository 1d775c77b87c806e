"""Write docs/reference/configuration.md, in English and Chinese, from the settings themselves."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from hongyan.config import FIELDS, Field
from hongyan.engine.app_settings import AppSettings

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {"en": FOLDER / "configuration.md", "zh": FOLDER / "configuration.zh-CN.md"}

TEXTS: dict[str, tuple[str, str, str]] = {
    "en": (
        """\
# Configuration

[中文](configuration.zh-CN.md)

A setting is looked up in this order; the first place that has it decides:

1. the command line: `--http-port 8000` (`hongyan serve --help` lists the options; the rarer settings have none);
2. the environment: `HONGYAN_HTTP_PORT=8000`, `HONGYAN_GATEWAY_BACKLOG=4096` (an empty value counts as not set);
3. the TOML file named by `--config FILE` or `HONGYAN_CONFIG`: `http_port = 8000`; a name with a dot stands in
   its table: `[gateway]`, then `backlog = 4096`;
4. the default.

On the command line and in the environment, a list is separated by commas. Relative paths start at the working
directory. An unknown setting or a wrong value ends the start with one sentence.

## Settings of the server

| Setting | Value | Default | Meaning |
|---|---|---|---|
""",
        """
## Settings of an app

`hongyan app create NAME --set KEY=VALUE` gives them and `hongyan app set APP KEY=VALUE` changes them. The defaults
stand [beside LeanCloud's](limits.md).

| Setting | Value | Default | Meaning |
|---|---|---|---|
""",
        "`on` or `off`",
    ),
    "zh": (
        """\
# 配置

[English](configuration.md)

设置按以下顺序查找，先找到者生效：

1. 命令行：`--http-port 8000`（`hongyan serve --help` 列出全部选项，较少用的设置没有对应选项）；
2. 环境变量：`HONGYAN_HTTP_PORT=8000`、`HONGYAN_GATEWAY_BACKLOG=4096`（空值视为未设置）；
3. `--config 文件` 或 `HONGYAN_CONFIG` 指定的 TOML 文件：`http_port = 8000`；名称带点的设置写在所属的表中：
   先写 `[gateway]`，再写 `backlog = 4096`；
4. 默认值。

在命令行和环境变量中，列表以逗号分隔。相对路径以当前工作目录为起点。如有未知的设置或错误的取值，程序会用一句话说明原因，然后退出。

## 服务器设置

| 设置 | 取值 | 默认值 | 含义 |
|---|---|---|---|
""",
        """
## 应用设置

创建应用时用 `hongyan app create 名称 --set 键=值` 给出，之后用 `hongyan app set 应用 键=值` 修改。
默认值与 LeanCloud 的对照见[限制](limits.zh-CN.md)。

| 设置 | 取值 | 默认值 | 含义 |
|---|---|---|---|
""",
        "`on` 或 `off`",
    ),
}


def render(language: str) -> str:
    """The whole page in `en` or `zh`."""
    server, app, switch = TEXTS[language]
    rows = [_row(field, language) for field in FIELDS.values()]
    app_rows = [
        f"| `{field.name}` | {_app_values(field.metadata, field.default, language, switch)} "
        f"| {_code(field.default)} | {_app_meaning(field.metadata, language)} |\n"
        for field in fields(AppSettings)
        if field.default is not MISSING
    ]
    return "".join([server, *rows, app, *app_rows])


def _row(field: Field, language: str) -> str:
    values, meaning = (field.values, field.help) if language == "en" else (field.values_zh, field.help_zh)
    return f"| `{field.name}` | {values} | {_code(field.default)} | {meaning} |\n"


def _app_values(metadata: Mapping[str, Any], default: object, language: str, switch: str) -> str:
    if isinstance(default, bool):
        return switch
    if "choices" in metadata:
        return (" or " if language == "en" else " 或 ").join(f"`{choice}`" for choice in metadata["choices"])
    if "url" in metadata:
        return {"en": "a URL that begins with `http://` or `https://`", "zh": "以 `http://` 或 `https://` 开头的 URL"}[
            language
        ]
    if "push" in metadata:
        return {"en": "a JSON object, or a text, which is the alert", "zh": "JSON 对象，或作为通知文字的文本"}[language]
    if "sites" in metadata:
        return "names of sites, comma-separated" if language == "en" else "站点名，以逗号分隔"
    if "key" in metadata:
        return "a key, or nothing" if language == "en" else "key，或留空"
    if "rewrites" in metadata:
        return "pairs `OLD=NEW`, comma-separated" if language == "en" else "`旧=新`，以逗号分隔"
    if "pattern" in metadata:
        return {"en": "a list, separated by commas", "zh": "以逗号分隔的列表"}[language]
    least, most = metadata["min"], metadata["max"]
    if language == "en":
        return f"a whole number from {least} to {most}"
    return f"{least} 到 {most} 的整数"


def _app_meaning(metadata: Mapping[str, Any], language: str) -> str:
    return str(metadata["help"] if language == "en" else metadata.get("help_zh", metadata["help"]))


def _code(default: object) -> str:
    if default in (None, (), ""):
        return ""
    return f"`{'on' if default else 'off'}`" if isinstance(default, bool) else f"`{default}`"


if __name__ == "__main__":
    for language, page in PAGES.items():
        page.write_text(render(language), encoding="utf-8")
