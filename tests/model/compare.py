"""What differs, short enough to be read."""

from collections.abc import Sequence

SHOWN = 3


def difference(found: Sequence[object], expected: Sequence[object]) -> str:
    """The first place where they part, and a little of what follows there."""
    same = 0
    while same < min(len(found), len(expected)) and found[same] == expected[same]:
        same += 1
    return (
        f"{len(found)} instead of {len(expected)}; after {same} that agree"
        f" {list(found[same : same + SHOWN])} instead of {list(expected[same : same + SHOWN])}"
    )
