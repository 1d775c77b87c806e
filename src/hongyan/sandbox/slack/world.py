"""The workspace that there is at Slack: its app, people and channels."""

import itertools
from dataclasses import dataclass

from hongyan.sandbox.slack.answers import Refusal

TEAM, TEAM_NAME, APP = "T0SANDBOX1", "Sandbox", "A0SANDBOX1"
BOT_USER, BOT, BOT_NAME = "U0HONGYAN1", "B0HONGYAN1", "hongyan"
TOKEN, SIGNING_SECRET = "xoxb-sandbox-token", "8f742231b10e8888abcd99yyyzzz85a5"
CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "1000.2000", "sandbox-client-secret", "xoxe-1-sandbox-refresh"


@dataclass(slots=True)
class User:
    id: str
    name: str
    real_name: str
    email: str
    deleted: bool = False
    bot: bool = False


@dataclass(slots=True)
class Channel:
    id: str
    name: str
    members: list[str]
    private: bool = False
    archived: bool = False
    user: str = ""
    """Of a direct message: with whom."""


class Workspace:
    """Direct channels are there once somebody asks for one. `numbers` are those of all ids that are made."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        people = [
            User("U0ALICE001", "alice", "Alice 王", "alice@sandbox.example"),
            User("U0BOB00001", "bob", "Bob 李", "bob@sandbox.example"),
            User("U0CAROL001", "carol", "Carol (gone)", "carol@sandbox.example", deleted=True),
            User(BOT_USER, BOT_NAME, "Hongyan", "", bot=True),
        ]
        self.users = {each.id: each for each in people}
        everyone = ["U0ALICE001", "U0BOB00001", BOT_USER]
        channels = [
            Channel("C0GENERAL1", "general", everyone),
            Channel("C0ALERTS01", "alerts", list(everyone)),
            Channel("C0OTHERS01", "others", ["U0ALICE001"]),
            Channel("G0SECRET01", "secret", ["U0BOB00001"], private=True),
            Channel("C0ARCHIVE1", "old", list(everyone), archived=True),
        ]
        self.channels = {each.id: each for each in channels}

    @property
    def names(self) -> dict[str, str]:
        """Of people, by their ids."""
        return {each.id: each.real_name for each in self.users.values()}

    def channel(self, named: object) -> Channel:
        """By its id or name, or that of the bot with a person. Raises Refusal."""
        name = str(named or "")
        if name in self.users and not self.users[name].bot:
            return self.direct(self.users[name])
        found = self.channels.get(name)
        if found is None:
            plain = name.removeprefix("#")
            found = next((each for each in self.channels.values() if each.name == plain and not each.user), None)
        if found is None:
            raise Refusal("channel_not_found")
        return found

    def writable(self, named: object) -> Channel:
        """One to which the bot may write. Raises Refusal."""
        channel = self.channel(named)
        if channel.archived:
            raise Refusal("is_archived")
        if channel.user and self.users[channel.user].deleted:
            raise Refusal("channel_not_found")
        if BOT_USER not in channel.members:
            raise Refusal("channel_not_found" if channel.private else "not_in_channel")
        return channel

    def direct(self, user: User) -> Channel:
        """That of the bot with a person."""
        return self.channels.setdefault(
            f"D{user.id[1:]}", Channel(f"D{user.id[1:]}", user.name, [user.id, BOT_USER], private=True, user=user.id)
        )

    def user(self, id: object) -> User:
        """Raises Refusal."""
        if not isinstance(id, str) or id not in self.users:
            raise Refusal("user_not_found")
        return self.users[id]
