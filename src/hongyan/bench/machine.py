"""What the figures were measured on, and what a process uses, read from /proc."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("hongyan", "picows", "aiofastnet", "uvloop", "protobuf", "pysqlite3", "sqlalchemy")


def cpu_seconds(pid: int) -> float:
    """The CPU seconds that process `pid` has used so far: user and system, all threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / CLOCK_TICKS


def cpu_seconds_of_all() -> float:
    """The CPU seconds that the whole machine has used so far."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft_irq, *_ = map(int, words)
    return (user + nice + system + irq + soft_irq) / CLOCK_TICKS


def rss(pid: int) -> int:
    """Resident memory of process `pid` in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory figures")


def facts() -> dict[str, str | int | float]:
    """Processor, cores, memory, kernel, Python, and how busy the machine is now."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Versions of the parts that the figures depend on."""
    return {name: version(name) for name in PARTS} | {"sqlite": sqlite.sqlite_version}


def file_system(folder: Path) -> str:
    """The file system that holds `folder`, such as ext4, or tmpfs, where a commit costs nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return platform.machine()
