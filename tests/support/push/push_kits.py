"""The Push Kits of Huawei and Honor (see hongyan.push.huawei and hongyan.push.honor for where each rule stands)."""

import json
import time
from typing import Any

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need

BYTES_MAX = 4_096


class PushKit(Emulator):
    app_id = "104436234"
    client_id: str
    secret = "6b39ce2f6d8a8d0f1cde"
    auth_path: str

    @property
    def credentials(self) -> dict[str, Any]:
        return {
            "app_id": self.app_id,
            "client_id": self.client_id,
            "client_secret": self.secret,
            "base_url": self.url,
            "auth_url": self.url + self.auth_path,
        }

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "client_secret": "not-the-secret"}

    @property
    def secrets(self) -> list[str]:
        return [self.secret, "token-1"]

    def authenticate(self, request: Request) -> Reply | None:
        if request.path != self.auth_path:
            return None
        form = request.form()
        need(form.pop("grant_type") == "client_credentials", Reply(400, {"error": "unsupported_grant_type"}))
        refused = Reply(401, {"error": "unauthorized_client", "error_description": "Invalid client credentials"})
        need(form == {"client_id": self.client_id, "client_secret": self.secret}, refused)
        return Reply(200, {"access_token": self.new_token(), "expires_in": 3_600, "token_type": "Bearer"})

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.valid

    def take(self, message: dict[str, Any]) -> None:
        shown = message["android"].get("notification", {})
        self.shown.append((shown.get("title", ""), shown.get("body", "")))
        self.delivered.append(message)


def size(message: dict[str, Any]) -> int:
    """Without the addresses."""
    rest = {key: value for key, value in message.items() if key != "token"}
    return len(json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode())


def sound(message: dict[str, Any], click: str) -> bool:
    """Whether the parts are such as the service knows, and something is to be done with them."""
    android = message["android"]
    ttl = android["ttl"]
    if (
        not message.keys() <= {"token", "data", "android"}
        or not ttl.endswith("s")
        or not 0 < int(ttl[:-1]) <= 1_296_000
    ):
        return False
    if "data" in message and not isinstance(json.loads(message["data"]), dict):
        return False
    shown = android.get("notification")
    if shown is None:
        return "data" in message
    return bool(shown["title"] and shown["body"]) and shown[click] == {"type": 3}


class Huawei(PushKit):
    adapter = "huawei"
    device = Device("hms", "IQAAAACy0kWeAAD2gY0")
    client_id = PushKit.app_id
    auth_path = "/oauth2/v3/token"

    def limited(self) -> Reply:
        return Reply(503)

    def deliver(self, request: Request) -> Reply:
        need(request.path == f"/v1/{self.app_id}/messages:send", Reply(404))
        need(self.authorized(request), _huawei("80200003", "OAuth token expired.", 401))
        body = request.json()
        need(body["validate_only"] is False, _huawei("80100001", "A test."))
        message = body["message"]
        need(sound(message, "click_action"), _huawei("80100003", "Illegal payload."))
        need(size(message) <= BYTES_MAX, _huawei("80300008", "The message body size exceeds the default value."))
        need(message["token"] == [self.device.token], _huawei("80300007", "All tokens are invalid."))
        self.take(message)
        return _huawei("80000000", "Success")


def _huawei(code: str, text: str, status: int = 200) -> Reply:
    return Reply(status, {"code": code, "msg": text, "requestId": "157440955549500001002006"})


class Honor(PushKit):
    adapter = "honor"
    device = Device("honor", "BAEAAAAAB.jkfhsdf89KJHkjhsdf")
    client_id = "a1b2c3d4"
    auth_path = "/auth/token"

    def limited(self) -> Reply:
        return Reply(200, {"code": 429, "message": "too many requests"})

    def deliver(self, request: Request) -> Reply:
        need(request.path == f"/api/v1/{self.app_id}/sendMessage", Reply(404))
        need(self.authorized(request), Reply(200, {"code": 401, "message": "unauthorized"}))
        at = int(request.headers["timestamp"])
        need(abs(time.time() * 1000 - at) < 600_000, Reply(200, {"code": 400, "message": "timestamp"}))
        message = request.json()
        need(sound(message, "clickAction"), Reply(200, {"code": 400, "message": "illegal message"}))
        need(size(message) <= BYTES_MAX, Reply(200, {"code": 413, "message": "message too long"}))
        good = message["token"] == [self.device.token]
        data: dict[str, Any] = {"sendResult": good, "requestId": "1", "failTokens": [], "expireTokens": []}
        if not good:
            data["expireTokens"] = message["token"]
            return Reply(200, {"code": 200, "message": "success", "data": data})
        self.take(message)
        return Reply(200, {"code": 200, "message": "success", "data": data})
