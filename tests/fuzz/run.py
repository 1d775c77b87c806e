"""Coverage-guided runs (atheris, on libFuzzer): what `make fuzz` does.

What was learnt stays in `.fuzz/TARGET`. An input that does harm is kept there as `harmed-by-…`; it becomes a
regression test when its cause is mended.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".fuzz"
TARGETS = ("parsers", "commands")


def main(arguments: list[str]) -> int:
    """The exit status: 1 if an input did harm."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Look for inputs that do harm.")
    parser.add_argument("targets", nargs="*", default=TARGETS, help=f"some of: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="time for each target (60)")
    parser.add_argument("--kept", type=Path, default=KEPT, help="directory of what is learnt (.fuzz)")
    asked = parser.parse_args(arguments)
    unknown = set(asked.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    ended = [fuzz(name, asked.kept / name, f"-max_total_time={asked.seconds}") for name in asked.targets]
    return int(any(process.returncode for process in ended))


def fuzz(name: str, folder: Path, *options: str, quiet: bool = False) -> "subprocess.CompletedProcess[str]":
    """Fuzz a target in a process of its own, as libFuzzer ends the one it runs in."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    usual = [f"-artifact_prefix={folder}/harmed-by-", "-max_len=8192", "-timeout=60", "-print_final_stats=1"]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(corpus), *usual, *options]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "TMPDIR": scratch}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False, text=True, capture_output=quiet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
