"""One coverage-guided run of a target: `python -m tests.fuzz.guided TARGET CORPUS [options of libFuzzer]`.

It learns from the inputs in the directory CORPUS and adds what it finds there. `tests.fuzz.run` calls it.
"""

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hongyan"]):
    from tests.fuzz.targets import FAILING, TARGETS


def main(name: str, corpus: Path, options: list[str]) -> None:
    """Fuzz; libFuzzer ends the process."""
    target = {**TARGETS, **FAILING}[name]
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    attempt = target.prepare()
    atheris.Setup([sys.argv[0], *options, str(corpus)], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
