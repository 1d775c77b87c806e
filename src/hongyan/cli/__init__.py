"""The command `hongyan`: one file per sub-command; see docs/rooms/cli.md."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec

import structlog
import typer

import hongyan
from hongyan import log
from hongyan.cli import app, channels, doctor, goaway, hooks, importing, openapi, sandbox, serve, sweep
from hongyan.errors import StartupError

FAILED = 2
INTERRUPTED = 130
INTERNAL_ERROR = 70

_HELP_OPTIONS = {"--help", "-h"}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process. What goes wrong is one sentence on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] != ["bench"]:  # whose reports are for everybody
        os.umask(0o077)  # what the server writes holds secrets and messages
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run a command line; answers the exit status."""
    log.configure("warning", "auto")
    try:
        return commands(arguments)(arguments, prog_name="hongyan", standalone_mode=False) or 0
    except (StartupError, typer.TyperException) as error:
        return _say(error.format_message() if isinstance(error, typer.TyperException) else str(error))
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception:
        structlog.get_logger(__name__).exception("hongyan failed by a mistake of its own")
        return INTERNAL_ERROR


def commands(arguments: list[str]) -> typer.Typer:
    """The tree of commands."""
    tree = typer.Typer(
        help="Hongyan 鸿雁: a self-hosted messaging server that speaks the LeanCloud realtime protocol.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": sorted(_HELP_OPTIONS)},
    )
    tree.callback()(_options)
    tree.command()(serve.serve)
    tree.add_typer(app.tree, name="app")
    tree.add_typer(hooks.tree, name="hooks")
    tree.add_typer(channels.tree, name="channel")
    tree.command()(channels.notify)
    tree.command()(goaway.goaway)
    tree.command()(doctor.doctor)
    tree.command()(sandbox.sandbox)
    tree.command()(openapi.openapi)
    tree.command()(sweep.sweep)
    tree.add_typer(importing.import_tree, name="import")
    tree.add_typer(importing.export_tree, name="export")
    if not arguments or arguments[0] == "bench" or _HELP_OPTIONS & {arguments[0]}:
        _add_bench(tree, wanted=arguments[:1] == ["bench"])
    return tree


def _add_bench(tree: typer.Typer, wanted: bool) -> None:
    """The bench needs the packages of the extra `bench` and long to load: the help only names it."""
    if find_spec("hongyan.bench.cli") is None:
        return
    if wanted:
        tree.add_typer(import_module("hongyan.bench.cli").bench, name="bench")
    else:
        tree.add_typer(typer.Typer(help=import_module("hongyan.bench").HELP), name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hongyan {hongyan.__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", metavar="", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def _say(sentence: str) -> int:
    if sentence:  # empty when the help was printed instead
        print(f"hongyan: {sentence}", file=sys.stderr)
    return FAILED
