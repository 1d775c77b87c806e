"""Any bytes in any frames: at most their own connection is harmed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import Running
from tests.fuzz.inputs import Step, sent, visit


@settings(max_examples=100)
@given(steps=st.lists(sent, min_size=1, max_size=12))
def test_bytes_in_frames(server: Running, steps: list[Step]) -> None:
    server.run(server.harness.attempt(visit(server.harness, steps)))
