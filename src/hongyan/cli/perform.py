"""Carrying out an operator's command: by the running server, or here if none runs."""

import asyncio
import time
from typing import Any

from hongyan import admin, process
from hongyan.config import Settings
from hongyan.datadir import DataDir, InUse
from hongyan.engine.access import Access
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.sweeps import Sweeps
from hongyan.engine.words import WordFilter
from hongyan.errors import StartupError
from hongyan.store import Store

#: Time for a server that is just starting or stopping, or for another command, to be done (s).
PATIENCE = 15.0


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


def _perform_here_or_there(settings: Settings, data: DataDir, command: admin.Command) -> Any:
    try:
        with data.held(settings.database_path):
            return asyncio.run(_perform_here(settings, data, command))
    except InUse:
        try:
            return admin.call(data.admin_socket, command)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        raise


async def _perform_here(settings: Settings, data: DataDir, command: admin.Command) -> Any:
    clock, database = Clock(), settings.database_path
    store = Store.open(database, data.secret(database), clock)
    store.on_fatal = process.storage_failed
    store.start(asyncio.get_running_loop())
    try:
        apps = Apps(store.apps, clock)
        await apps.load()
        sweeps = Sweeps(store.sweep, apps, Access(store.conversations, clock), clock, rest=0)
        words = WordFilter(store.words, clock)
        return await admin.perform(command, apps, words, {}, admin.Sweeper(sweeps, running=False))
    finally:
        await store.close()
