"""Whom a message of WeCom can tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hongyan.hub.content import Mention
from hongyan.hub.degrade import name_of

#: Ids of members; and mobile numbers.
USER = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.@-]{0,63}")
MOBILE = re.compile(r"\+?[0-9]{5,20}")


@dataclass(frozen=True, slots=True)
class Told:
    """Who is mentioned: members by their ids (`@all` for everyone), by mobile; `names` of who can't be told."""

    users: tuple[str, ...] = ()
    mobiles: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def inline(self) -> bool:
        """Whether marks in Markdown tell them all."""
        return not self.mobiles and "@all" not in self.users

    @property
    def nobody(self) -> bool:
        """Whether there are names only."""
        return not self.users and not self.mobiles

    def fields(self) -> dict[str, Any]:
        """As a text message names them."""
        return {
            **({"mentioned_list": list(self.users)} if self.users else {}),
            **({"mentioned_mobile_list": list(self.mobiles)} if self.mobiles else {}),
        }


def told(mentions: Sequence[Mention], *, mobiles: bool) -> Told:
    """Whom a message can tell; `mobiles`: whether mobile numbers are taken as they are."""
    users, numbers, names = [], [], []
    for each in mentions:
        if each.everyone:
            users.append("@all")
        elif USER.fullmatch(each.user):
            users.append(each.user)
        elif mobiles and MOBILE.fullmatch(each.mobile):
            numbers.append(each.mobile)
        else:
            names.append(name_of(each))
    return Told(tuple(dict.fromkeys(users)), tuple(dict.fromkeys(numbers)), tuple(names))
