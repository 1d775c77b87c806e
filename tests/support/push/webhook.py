"""A server of an app's own, which takes pushes as Standard Webhooks 1.0.0 has them."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need

KEY, OLD_KEY = bytes(range(32)), bytes(range(100, 132))
TOLERANCE = 300


def secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


class Webhook(Emulator):
    adapter = "webhook"
    device = Device("webhook", "device-one")
    wait = 9.0

    def __init__(self) -> None:
        super().__init__()
        self.keys = [KEY]
        self.ids: list[str] = []

    @property
    def credentials(self) -> dict[str, Any]:
        return {"url": f"{self.url}/pushes", "secret": secret(KEY)}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "secret": secret(OLD_KEY)}

    @property
    def secrets(self) -> list[str]:
        return [secret(KEY).removeprefix("whsec_")]

    def limited(self) -> Reply:
        return Reply(429, headers={"Retry-After": "9"})

    def deliver(self, request: Request) -> Reply:
        need(request.path == "/pushes", Reply(404))
        headers = request.headers
        at = headers["webhook-timestamp"]
        need(abs(time.time() - int(at)) < TOLERANCE, Reply(400, b"old"))
        signed = f"{headers['webhook-id']}.{at}.".encode() + request.body
        given = headers["webhook-signature"].split(" ")
        good = [f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in self.keys]
        need(set(good) & set(given), Reply(401, b"signature"))
        need(len(request.body) < 20_480, Reply(413))
        told = request.json()
        need(told["type"] == "push.requested" and told["timestamp"].endswith("Z"), Reply(400))
        data = told["data"]
        need(data["token"] == self.device.token, Reply(422, b"no such device"))
        self.ids.append(headers["webhook-id"])
        content = data["content"]
        self.shown.append((content.get("title", ""), content.get("alert", "")))
        self.delivered.append(json.loads(request.body))
        return Reply(204)
