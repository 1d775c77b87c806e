"""Drives the emulator of Feishu with lark-oapi, and prints what it answers, a line of JSON at each step.

Its import warns, and it has a loop of its own: it runs in a process of its own.
"""

import io
import json
import os
import sys
import threading
from typing import Any

import lark_oapi as lark
from lark_oapi.api.contact.v3 import BatchGetIdUserRequest, BatchGetIdUserRequestBody
from lark_oapi.api.im.v1 import (
    CreateFileRequest,
    CreateFileRequestBody,
    CreateImageRequest,
    CreateImageRequestBody,
    CreateMessageRequest,
    CreateMessageRequestBody,
    DeleteMessageRequest,
    GetMessageResourceRequest,
    ListChatRequest,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReadUsersMessageRequest,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
    UpdateMessageRequest,
    UpdateMessageRequestBody,
    UrgentAppMessageRequest,
    UrgentReceivers,
)
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse

ORIGIN, APP_ID, APP_SECRET, PNG, TOKEN, KEY = sys.argv[1:]
GROUP, PERSON = "oc_sandbox_ops", "ou_sandbox_zhangsan"
client = lark.Client.builder().app_id(APP_ID).app_secret(APP_SECRET).domain(ORIGIN).build()
im = client.im.v1


def say(value: object) -> None:
    """The SDK prints lines of its own besides."""
    print(json.dumps({"say": value}), flush=True)


def body(type_: str, content: object, **more: Any) -> Any:
    made = CreateMessageRequestBody.builder().receive_id(more.pop("to", GROUP)).msg_type(type_)
    made = made.content(json.dumps(content))
    return (made.uuid(more["uuid"]) if "uuid" in more else made).build()


def create(type_: str, content: object, kind: str = "chat_id", **more: Any) -> Any:
    request = CreateMessageRequest.builder().receive_id_type(kind).request_body(body(type_, content, **more)).build()
    return im.message.create(request)


def main() -> None:
    text = create("text", {"text": "hello"}, uuid="u-1")
    again = create("text", {"text": "hello"}, uuid="u-1")
    answer = im.message.reply(
        ReplyMessageRequest.builder()
        .message_id(text.data.message_id)
        .request_body(
            ReplyMessageRequestBody.builder()
            .msg_type("text")
            .content('{"text":"answer"}')
            .reply_in_thread(True)
            .build()
        )
        .build()
    )
    card = {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": "**x**"}]}}
    sent_card = create("interactive", card, to=PERSON, kind="open_id")
    card["header"] = {"title": {"tag": "plain_text", "content": "T"}, "template": "green"}
    patched = im.message.patch(
        PatchMessageRequest.builder()
        .message_id(sent_card.data.message_id)
        .request_body(PatchMessageRequestBody.builder().content(json.dumps(card)).build())
        .build()
    )
    put = im.message.update(
        UpdateMessageRequest.builder()
        .message_id(text.data.message_id)
        .request_body(UpdateMessageRequestBody.builder().msg_type("text").content('{"text":"changed"}').build())
        .build()
    )
    with open(PNG, "rb") as file:
        image = im.image.create(
            CreateImageRequest.builder()
            .request_body(CreateImageRequestBody.builder().image_type("message").image(file).build())
            .build()
        )
    picture = create("image", {"image_key": image.data.image_key}, to=PERSON, kind="open_id")
    fetched = im.message_resource.get(
        GetMessageResourceRequest.builder()
        .message_id(picture.data.message_id)
        .file_key(image.data.image_key)
        .type("image")
        .build()
    )
    upload = im.file.create(
        CreateFileRequest.builder()
        .request_body(
            CreateFileRequestBody.builder()
            .file_type("stream")
            .file_name("a.txt")
            .file(io.BytesIO(b"some words"))
            .build()
        )
        .build()
    )
    sent_file = create("file", {"file_key": upload.data.file_key})
    wrong_type = create("media", {"file_key": upload.data.file_key})
    urgent = im.message.urgent_app(
        UrgentAppMessageRequest.builder()
        .message_id(sent_file.data.message_id)
        .user_id_type("open_id")
        .request_body(UrgentReceivers.builder().user_id_list([PERSON, "ou_nobody"]).build())
        .build()
    )
    read = im.message.read_users(
        ReadUsersMessageRequest.builder()
        .message_id(sent_file.data.message_id)
        .user_id_type("open_id")
        .page_size(20)
        .build()
    )
    deleted = im.message.delete(DeleteMessageRequest.builder().message_id(sent_file.data.message_id).build())
    found = client.contact.v3.user.batch_get_id(
        BatchGetIdUserRequest.builder()
        .user_id_type("open_id")
        .request_body(BatchGetIdUserRequestBody.builder().emails(["lisi@example.com", "nobody@example.com"]).build())
        .build()
    )
    chats = im.chat.list(ListChatRequest.builder().build())
    batch = client.request(
        lark.BaseRequest.builder()
        .http_method(lark.HttpMethod.POST)
        .uri("/open-apis/message/v4/batch_send/")
        .token_types({lark.AccessTokenType.TENANT})
        .body({"msg_type": "text", "content": {"text": "all"}, "open_ids": [PERSON, "ou_nobody"]})
        .build()
    )
    nobody = create("text", {"text": "x"}, to="ou_nobody", kind="open_id")
    bad_card = create(
        "interactive", {"schema": "2.0", "body": {"elements": [{"tag": "note"}]}}, to=PERSON, kind="open_id"
    )
    say(
        {
            "text": [text.code, text.data.chat_id, text.data.sender.sender_type],
            "same": text.data.message_id == again.data.message_id,
            "answer": [answer.code, answer.data.root_id == text.data.message_id, answer.data.thread_id[:4]],
            "card": [sent_card.code, patched.code],
            "put": [put.code, put.data.body.content],
            "fetched": [fetched.code, fetched.file.read().hex()],
            "wrong_type": wrong_type.code,
            "urgent": urgent.data.invalid_user_id_list,
            "read": [read.code, read.data.items, read.data.has_more],
            "deleted": deleted.code,
            "found": [each.user_id for each in found.data.user_list],
            "chats": [each.name for each in chats.data.items][:2],
            "batch": json.loads(batch.raw.content)["data"]["invalid_open_ids"],
            "nobody": [nobody.code, bool(nobody.error["log_id"]), nobody.raw.status_code],
            "bad_card": [bad_card.code, "200861" in bad_card.msg],
        }
    )
    dispatch()
    listen()


def dispatch() -> None:
    """Requests that the sandbox has made, one on each line of the input, into the SDK's own dispatcher."""
    heard: list[object] = []

    def pressed(data: Any) -> P2CardActionTriggerResponse:
        heard.append(data.event.action.value)
        return P2CardActionTriggerResponse({"toast": {"type": "success", "content": "done"}})

    handler = (
        lark.EventDispatcherHandler.builder(KEY, TOKEN)
        .register_p2_im_message_receive_v1(lambda data: heard.append(data.event.message.content))
        .register_p2_card_action_trigger(pressed)
        .build()
    )
    answers = []
    for _ in range(3):
        given = json.loads(sys.stdin.readline())
        request = lark.RawRequest()
        request.uri, request.body = "/", given["body"].encode()
        request.headers = given["headers"]
        answer = handler.do(request)
        answers.append([answer.status_code, bytes(answer.content or b"").decode()])
    say([heard, answers])


def listen() -> None:
    """Events by the long connection; the last of them is a press."""

    def pressed(data: Any) -> P2CardActionTriggerResponse:
        say(["pressed", data.event.action.value])
        threading.Timer(0.2, lambda: os._exit(0)).start()
        return P2CardActionTriggerResponse({"toast": {"type": "success", "content": "done"}})

    handler = (
        lark.EventDispatcherHandler.builder("", "")
        .register_p2_im_message_receive_v1(lambda data: say(["heard", data.event.message.content]))
        .register_p2_card_action_trigger(pressed)
        .build()
    )
    lark.ws.Client(APP_ID, APP_SECRET, event_handler=handler, domain=ORIGIN).start()


main()
