"""What is told of people and channels."""

from typing import Any

from hongyan.sandbox.slack.answers import PAGED, Arguments, Refusal
from hongyan.sandbox.slack.world import BOT_USER, TEAM, Channel, User, Workspace


class People:
    """Who is there, and where the bot is."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def channel(self, given: Arguments) -> dict[str, Any]:
        return {"channel": _told(self._workspace.channel(given.get("channel")))}

    def channels(self, given: Arguments) -> dict[str, Any]:
        types = str(given.get("types") or "public_channel").split(",")
        wanted = {"public_channel": "C", "private_channel": "G", "im": "D", "mpim": "M"}
        starts = tuple(wanted[each] for each in types if each in wanted)
        found = [_told(each) for each in self._workspace.channels.values() if each.id.startswith(starts)]
        return {"channels": found, **PAGED}

    def members(self, given: Arguments) -> dict[str, Any]:
        return {"members": self._workspace.channel(given.get("channel")).members, **PAGED}

    def open(self, given: Arguments) -> dict[str, Any]:
        named = given.get("users") or ""
        ids = named if isinstance(named, list) else [each for each in str(named).split(",") if each]
        if not ids:
            raise Refusal("users_list_not_supplied" if not given.get("channel") else "channel_not_found")
        if len(ids) > 8:
            raise Refusal("too_many_users")
        people = [self._workspace.user(each) for each in ids]
        if any(each.deleted for each in people):
            raise Refusal("user_disabled")
        if any(each.bot for each in people):
            raise Refusal("cannot_dm_bot")
        channel = self._workspace.direct(people[0])
        return {"channel": {"id": channel.id}, "no_op": False, "already_open": False}

    def join(self, given: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(given.get("channel"))
        if channel.archived:
            raise Refusal("is_archived")
        if BOT_USER not in channel.members:
            channel.members.append(BOT_USER)
        return {"channel": _told(channel)}

    def users(self, _: Arguments) -> dict[str, Any]:
        return {"members": [_profile(each) for each in self._workspace.users.values()], **PAGED}

    def user(self, given: Arguments) -> dict[str, Any]:
        return {"user": _profile(self._workspace.user(given.get("user")))}

    def by_email(self, given: Arguments) -> dict[str, Any]:
        mail = str(given.get("email") or "").lower()
        found = next((each for each in self._workspace.users.values() if each.email and each.email == mail), None)
        if found is None or found.deleted:
            raise Refusal("users_not_found")
        return {"user": _profile(found)}


def _told(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.private,
        "is_im": bool(channel.user),
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": BOT_USER in channel.members,
        "num_members": len(channel.members),
        **({"user": channel.user} if channel.user else {}),
    }


def _profile(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "team_id": TEAM,
        "name": user.name,
        "deleted": user.deleted,
        "real_name": user.real_name,
        "is_bot": user.bot,
        "profile": {"real_name": user.real_name, "display_name": user.real_name, "email": user.email},
    }
