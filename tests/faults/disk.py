"""A directory on a disk that can lose power, stall, fill up and fail, for one process started with it.

The work is done in that process by the preloaded library of `shim/powerloss.c`, which says what is modelled.
"""

import mmap
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent / "shim" / "powerloss.c"
# The order of struct control in powerloss.c.
FIELDS = ("passes", "space", "sync_fails", "sync_delay", "at_gate", "syncs", "failures")
UNLIMITED = -1
PATIENCE = 30.0
"""Seconds after which a sync that never comes is an error."""


def compile_shim(directory: Path) -> Path:
    """Compiles the library with the system's C compiler; returns its path."""
    library = directory / "powerloss.so"
    options = ["-shared", "-fPIC", "-O2", "-Wall"]
    subprocess.run(["cc", *options, "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
    return library


class Field:
    """A number shared with the process; which one is told by the attribute's name in FIELDS."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.index = FIELDS.index(name)

    def __get__(self, disk: "Disk", owner: type) -> int:
        return disk.control[self.index]

    def __set__(self, disk: "Disk", value: int) -> None:
        disk.control[self.index] = value


class Disk:
    """The disk under one directory.

    Call `settle` and start a process with `environment`. After it was killed, `lose_power` leaves in the
    directory only what the process had synced.
    """

    passes = Field()
    """Syncs that may still pass the gate before the others wait there; UNLIMITED at first."""
    space = Field()
    """Bytes that may still be written before writes fail with ENOSPC; UNLIMITED at first."""
    sync_fails = Field()
    """While 1, every sync fails with EIO."""
    sync_delay = Field()
    """Milliseconds that every sync takes longer."""
    at_gate = Field()
    """Syncs that wait at the gate now."""
    syncs = Field()
    """Syncs that succeeded."""
    failures = Field()
    """Writes and syncs that failed by order."""

    def __init__(self, library: Path, directory: Path, workspace: Path) -> None:
        self.library = library
        self.directory = directory.resolve()
        self.shadow = workspace.resolve() / "shadow"
        self.control_path = workspace.resolve() / "control"
        self.control_path.write_bytes(bytes(8 * len(FIELDS)))
        with self.control_path.open("r+b") as file:
            self.control = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        self.repair()
        self.settle()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to write to this disk."""
        return {
            "LD_PRELOAD": str(self.library),
            "POWERLOSS_DIR": str(self.directory),
            "POWERLOSS_SHADOW": str(self.shadow),
            "POWERLOSS_CONTROL": str(self.control_path),
        }

    def repair(self) -> None:
        """Takes back every order."""
        self.passes = self.space = UNLIMITED
        self.sync_fails = self.sync_delay = 0

    def settle(self) -> None:
        """Makes everything in the directory durable; call it while no process writes there."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        shutil.copytree(self.directory, self.shadow, ignore=_not_durable)

    def lose_power(self) -> None:
        """Leaves in the directory only what was synced; call it after the process was killed."""
        shutil.rmtree(self.directory)
        shutil.copytree(self.shadow, self.directory)

    @contextmanager
    def gate(self, passes: int = 0) -> Iterator[None]:
        """Lets so many syncs pass and holds the others back until the end of the block."""
        self.passes = passes
        try:
            yield
        finally:
            self.passes = UNLIMITED

    def wait_at_gate(self) -> None:
        """Waits until a sync has reached the closed gate; raises when none comes."""
        deadline = time.monotonic() + PATIENCE
        while not self.at_gate:
            assert time.monotonic() < deadline, "nothing is being synced"
            time.sleep(0.001)


def _not_durable(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith("-shm") or Path(directory, name).is_socket()}
