"""How what goes wrong inside an adapter finds its way out."""

from hongyan.engine.pushing import Outcome


class Failed(Exception):
    """The outcome is known, and there is no more to do."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(repr(outcome))
        self.outcome = outcome
