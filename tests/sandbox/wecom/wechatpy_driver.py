"""Run by test_wechatpy.py: makes the calls on its standard input with wechatpy, and prints what they gave."""

import io
import json
import sys

from wechatpy.enterprise import WeChatClient, parse_message
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatClientException

ASKED = json.load(sys.stdin)


class Client(WeChatClient):
    """Both places where the library has WeCom's address."""

    API_BASE_URL = ASKED["origin"] + "/cgi-bin/"

    def fetch_access_token(self):
        return self._fetch_access_token(
            url=self.API_BASE_URL + "gettoken", params={"corpid": self.corp_id, "corpsecret": self.secret}
        )


def argument(value):
    if isinstance(value, dict) and set(value) == {"file", "content"}:
        file = io.BytesIO(bytes.fromhex(value["content"]))
        file.name = value["file"]
        return file
    return value


def run(client, name, values):
    if name == "callback":
        token, key, body, signature, timestamp, nonce = values
        plain = WeChatCrypto(token, key, ASKED["corp"]).decrypt_message(body, signature, timestamp, nonce)
        message = parse_message(plain)
        names = ("type", "source", "event", "content", "id", "agent")
        found = {each: getattr(message, each, None) for each in names}
        return {each: value for each, value in found.items() if value not in (None, 0)}
    if name == "echo":
        token, key, *checked = values
        return WeChatCrypto(token, key, ASKED["corp"]).check_signature(*checked)
    part, method = name.split(".")
    try:
        return getattr(getattr(client, part), method)(*map(argument, values))
    except WeChatClientException as error:
        return {"error": error.errcode}


client = Client(ASKED["corp"], ASKED["secret"], timeout=10)
print(json.dumps([run(client, *step) for step in ASKED["steps"]]))
