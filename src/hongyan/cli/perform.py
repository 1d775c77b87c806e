"""Carrying out operators' commands: by the running server, or here if none runs."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hongyan import admin
from hongyan.config import Settings
from hongyan.datadir import DataDir, InUse
from hongyan.errors import StartupError

#: Time for a server that is just starting or stopping, or for another command, to be done (s).
PATIENCE = 15.0
#: How much less than the server a command that takes long beside it is worth (`nice`).
BESIDE = 15


def perform(settings: Settings, command: admin.Command) -> Any:
    """The command's answer. Raises StartupError with the sentence of a refusal."""
    data = DataDir(settings.data_dir)
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return _perform_here_or_there(settings, data, command)
        except InUse:
            if time.monotonic() > give_up:
                raise
            # Either the lock is released or the socket appears: no one event tells of both.
            time.sleep(0.05)
        except admin.Failed as error:
            raise StartupError(str(error)) from None


@contextmanager
def performing(settings: Settings) -> Iterator[Callable[[admin.Command], Any]]:
    """What carries out many commands one after another, for those that take long.

    With a server, each goes to whoever holds the data when it comes; without one, nobody else has it meanwhile.
    """
    data = DataDir(settings.data_dir)
    try:
        hold = data.held(settings.database_path)
        hold.__enter__()
    except InUse:
        os.nice(BESIDE)  # those who chat go first
        yield lambda command: perform(settings, command)
        return
    try:
        with asyncio.Runner() as runner:
            from hongyan.cli import here

            store, answer = runner.run(here.opened(settings, data, much=True))
            try:
                yield lambda command: _answered(runner, answer(command))
            finally:
                runner.run(store.close())
    finally:
        hold.__exit__(None, None, None)


def _answered(runner: asyncio.Runner, answer: Any) -> Any:
    try:
        return runner.run(answer)
    except admin.Failed as error:
        raise StartupError(str(error)) from None


def _perform_here_or_there(settings: Settings, data: DataDir, command: admin.Command) -> Any:
    try:
        with data.held(settings.database_path):
            from hongyan.cli import here  # it takes a second to load, and a server has done so

            return asyncio.run(here.perform(settings, data, command))
    except InUse:
        try:
            return admin.call(data.admin_socket, command)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        raise
