"""Roles of members of a conversation."""

from enum import StrEnum


class Role(StrEnum):
    """What a member may do: the owner made the conversation; managers remove and silence plain members."""

    OWNER = "Owner"
    MANAGER = "Manager"
    MEMBER = "Member"
