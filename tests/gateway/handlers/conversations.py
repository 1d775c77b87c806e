"""Conversations as tests look at them."""

from typing import Any

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support.client import Session, named


def names(received: list[GenericCommand]) -> list[str]:
    """What was received, by name."""
    return [named(push) for push in received]


async def row(session: Session, conversation: str) -> dict[str, Any]:
    """The conversation as a query shows it."""
    (found,) = await session.query({"objectId": conversation})
    return found
