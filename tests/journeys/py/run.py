"""LeanCloud's SDK for servers, as published, doing what it is asked to: a line of JSON in, a line of JSON out.

Runs in the SDK's own environment, so it imports nothing of ours. `LC_API_SERVER` says where the server is.
"""

import json
import sys
from typing import Any

import leancloud
from leancloud.message import Message


def sign_in(app_id: str, app_key: str, master_key: str | None = None) -> None:
    """Use an app from now on, with its master key if it is given: each call is signed with it (`X-LC-Sign`)."""
    leancloud.init(app_id, app_key=app_key, master_key=master_key)
    leancloud.use_master_key(master_key is not None)


def create(name: str, members: list[str], **kind: bool) -> str:
    """Make a conversation with these members."""
    conversation = leancloud.Conversation(name, **kind)
    for member in members:
        conversation.add_member(member)
    conversation.save()
    return str(conversation.id)


def add_member(conversation: str, member: str) -> None:
    found = leancloud.Conversation.create_without_data(conversation)
    found.add_member(member)
    found.save()


def read(conversation: str) -> dict[str, Any]:
    """What the SDK knows of a conversation that it looks up."""
    found = leancloud.Query(leancloud.Conversation).get(conversation)
    return {"name": found.name, "members": found.members, "is_system": found.is_system}


def send(conversation: str, *arguments: Any, **options: Any) -> None:
    leancloud.Conversation.create_without_data(conversation).send(*arguments, **options)


def broadcast(conversation: str, *arguments: Any, **options: Any) -> None:
    leancloud.Conversation.create_without_data(conversation).broadcast(*arguments, **options)


def find_by_conversation(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
    return [vars(message) for message in Message.find_by_conversation(*arguments, **options)]


def find_by_client(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
    return [vars(message) for message in Message.find_by_client(*arguments, **options)]


def find_all(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
    return [vars(message) for message in Message.find_all(*arguments, **options)]


ACTIONS = {
    action.__name__: action
    for action in (
        *(sign_in, create, add_member, read, send, broadcast),
        *(find_by_conversation, find_by_client, find_all),
    )
}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"answer": ACTIONS[asked["do"]](*asked["arguments"], **asked["options"])}
    except leancloud.LeanCloudError as refusal:
        answer = {"code": refusal.code, "error": refusal.error}
    print(json.dumps(answer), flush=True)
