"""Options that several sub-commands take; each has the name and the help of its setting."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hongyan.config import FIELDS, Settings
from hongyan.config_load import load


def option(name: str, metavar: str) -> Any:
    """The option of a setting. Its text is checked where the settings are read, like every other source."""
    field = FIELDS[name]
    default = "" if field.default in (None, ()) else f" Default: {field.default}"
    return typer.Option(field.option, metavar=metavar, help=field.help + default, show_default=False)


Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file with settings.", show_default=False)
]
DataDirectory = Annotated[str | None, option("data_dir", "DIR")]
Database = Annotated[str | None, option("database", "URL")]


def settings_for(config: Path | None, data_dir: str | None, database: str | None, **more: str | None) -> Settings:
    """The settings under which a sub-command runs. Raises StartupError."""
    return load(config, {"data_dir": data_dir, "database": database, **more})
