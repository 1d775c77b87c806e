"""Xiaomi, OPPO, vivo and Meizu (see the modules of hongyan.push with their names for where each rule stands)."""

import hashlib
import json
import re
import time
from typing import Any

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need

NUMBERS = range(1, 2**31)
#: How old a sign may be (s).
SIGN_AGE = 600


class Xiaomi(Emulator):
    adapter = "xiaomi"
    device = Device("mi", "qXX5tXbsX/egM9lKDdWotd+O0njRu", app="com.example.chat")
    secret = "dVh2R0JxN0ZkQ2c9PQ"

    @property
    def credentials(self) -> dict[str, Any]:
        return {"app_secret": self.secret, "base_url": self.url, "channel": "high_system"}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "app_secret": "not-the-secret"}

    @property
    def secrets(self) -> list[str]:
        return [self.secret]

    def limited(self) -> Reply:
        return _xiaomi(200002, "Too many requests.")

    def deliver(self, request: Request) -> Reply:
        need(request.path == "/v3/message/regid", Reply(404))
        need(request.headers.get("authorization") == f"key={self.secret}", _xiaomi(21301, "Authentication failed."))
        form = request.form()
        need(form["restricted_package_name"] == "com.example.chat", _xiaomi(22022, "Wrong package."))
        need(int(form["notify_id"]) in NUMBERS, _xiaomi(10017, "notify_id"))
        need(0 < int(form["time_to_live"]) <= 1_209_600_000, _xiaomi(10017, "time_to_live"))
        need(re.fullmatch(r"(?!_)[0-9A-Za-z_-]{1,20}", form["extra.jobkey"]), _xiaomi(10017, "jobkey"))
        need(len(form["payload"].encode()) <= 4_096, _xiaomi(10018, "payload"))
        title, text = form.get("title", ""), form.get("description", "")
        if form["pass_through"] == "0":
            need(title.strip() and len(title) < 50, _xiaomi(10017, "title"))
            need(text.strip() and len(text) < 128, _xiaomi(10017, "description"))
            need(form["notify_type"] == "-1" and form["extra.notify_effect"] == "1", _xiaomi(10017, "notify_type"))
        known = form["registration_id"] == self.device.token
        need(known, _xiaomi(20301, f"Invalid regid: {form['registration_id']}"))
        self.shown.append((title, text))
        self.delivered.append(form)
        return Reply(200, {"result": "ok", "code": 0, "data": {"id": "slm30b58"}, "description": "成功"})


def _xiaomi(code: int, reason: str) -> Reply:
    return Reply(200, {"result": "error", "reason": reason, "trace_id": "Xlm", "code": code, "description": "失败"})


class Oppo(Emulator):
    adapter = "oppo"
    device = Device("oppo", "CN_078ad8b8a137cadb14ae5b70cf846312")
    silent = False
    key, secret = "b6bbd94b59cdb5df", "master-5f0b4c17ac5d"

    @property
    def credentials(self) -> dict[str, Any]:
        return {"app_key": self.key, "master_secret": self.secret, "base_url": self.url, "category": "IM"}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "master_secret": "not-the-secret"}

    @property
    def secrets(self) -> list[str]:
        return [self.secret, "token-1"]

    def authenticate(self, request: Request) -> Reply | None:
        if request.path != "/server/v1/auth":
            return None
        form = request.form()
        need(form["app_key"] == self.key, _oppo(14, "Invalid App Key"))
        need(abs(time.time() - int(form["timestamp"]) / 1000) < SIGN_AGE, _oppo(19, "Invalid Timestamp"))
        good = hashlib.sha256(f"{self.key}{form['timestamp']}{self.secret}".encode()).hexdigest()
        need(form["sign"] == good, _oppo(16, "Invalid Signature"))
        return _oppo(0, "Success", {"auth_token": self.new_token(), "create_time": int(form["timestamp"])})

    def limited(self) -> Reply:
        return _oppo(-2, "Service in Flow Control")

    def deliver(self, request: Request) -> Reply:
        need(request.path == "/server/v1/message/notification/unicast", Reply(404))
        form = request.form()
        need(form.keys() == {"auth_token", "message"}, _oppo(40, "Missing Required Arguments"))
        need(form["auth_token"] in self.valid, _oppo(11, "Invalid AuthToken"))
        message = json.loads(form["message"])
        shown = message["notification"]
        limit = {1: 50, 2: 128}[shown["style"]]
        need(0 < len(shown["title"]) <= 50 and 0 < len(shown["content"]) <= limit, _oppo(41, "Invalid Arguments"))
        need(0 < shown["off_line_ttl"] <= 864_000 and shown["off_line"] is True, _oppo(41, "Invalid Arguments"))
        need(shown["category"] == "IM" and shown["click_action_type"] == 0, _oppo(41, "Invalid Arguments"))
        data = shown.get("action_parameters", "{}")
        need(len(data) <= 4_000 and isinstance(json.loads(data), dict), _oppo(41, "Invalid Arguments"))
        need(message["target_type"] == 2, _oppo(41, "Invalid Arguments"))
        need(message["target_value"] == self.device.token, _oppo(10000, "Invalid RegistrationId"))
        self.shown.append((shown["title"], shown["content"]))
        self.delivered.append(shown)
        return _oppo(0, "Success", {"messageId": "5f-1"})


def _oppo(code: int, text: str, data: dict[str, Any] | None = None) -> Reply:
    return Reply(200, {"code": code, "message": text, "data": data or {}})


class Vivo(Emulator):
    adapter = "vivo"
    device = Device("vivo", "15513410784181118114099")
    silent = False
    app_id, key, secret = "10004", "25509283-3767-4b9e-83fe", "8b85d5ff-12df8"

    @property
    def credentials(self) -> dict[str, Any]:
        kept = {"app_id": self.app_id, "app_key": self.key, "app_secret": self.secret}
        return {**kept, "base_url": self.url, "category": "IM"}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "app_secret": "not-the-secret"}

    @property
    def secrets(self) -> list[str]:
        return [self.secret, "token-1"]

    def authenticate(self, request: Request) -> Reply | None:
        if request.path != "/message/auth":
            return None
        given = request.json()
        at = given["timestamp"]
        need(isinstance(given["appId"], int) and str(given["appId"]) == self.app_id, _vivo(10205, "appId"))
        need(isinstance(at, int) and abs(time.time() - at / 1000) < SIGN_AGE, _vivo(10207, "timestamp"))
        good = hashlib.md5(f"{self.app_id}{self.key}{at}{self.secret}".encode()).hexdigest()
        need(given["appKey"] == self.key and given["sign"] == good, _vivo(10206, "sign"))
        return Reply(200, {"result": 0, "desc": "请求成功", "authToken": self.new_token()})

    def limited(self) -> Reply:
        return _vivo(10072, "推送速度过快")

    def deliver(self, request: Request) -> Reply:
        need(request.path == "/message/send", Reply(404))
        need(request.headers.get("authtoken") in self.valid, _vivo(10000, "权限认证失败"))
        given = request.json()
        need(given["appId"] == int(self.app_id), _vivo(10094, "appId"))
        need(0 < len(given["title"]) <= 40, _vivo(10056, "title"))
        need(0 < len(given["content"]) <= 100, _vivo(10059, "content"))
        need(60 <= given["timeToLive"] <= 86_400, _vivo(10017, "timeToLive"))
        need(0 < len(given["requestId"]) <= 64, _vivo(10303, "requestId"))
        need(given["category"] == "IM" and given["classification"] == 1, _vivo(10097, "category"))
        need(given["notifyType"] in (1, 2, 3, 4) and given["skipType"] == 1, _vivo(10017, "notifyType"))
        need(given.get("notifyId", 1) in NUMBERS, _vivo(10017, "notifyId"))
        data = given.get("clientCustomMap", {})
        need(all(isinstance(value, str) for value in data.values()), _vivo(10017, "clientCustomMap"))
        need(sum(len(key) + len(value) for key, value in data.items()) <= 1_024, _vivo(10067, "clientCustomMap"))
        need(given["regId"] == self.device.token, _vivo(10302, "regId不合法"))
        self.shown.append((given["title"], given["content"]))
        self.delivered.append(given)
        return Reply(200, {"result": 0, "desc": "请求成功", "taskId": "342982232646449152"})


def _vivo(result: int, text: str) -> Reply:
    return Reply(200, {"result": result, "desc": text})


class Meizu(Emulator):
    adapter = "meizu"
    device = Device("mz", "J0476035d625e6c64567f71487e040e7d017f0558675b")
    silent = False
    app_id, secret = "110370", "f4d5a8e0b5c14bd1"

    @property
    def credentials(self) -> dict[str, Any]:
        return {"app_id": self.app_id, "app_secret": self.secret, "base_url": self.url}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "app_secret": "not-the-secret"}

    @property
    def secrets(self) -> list[str]:
        return [self.secret]

    def limited(self) -> Reply:
        return _meizu("110010", "应用请求频率超过限制")

    def deliver(self, request: Request) -> Reply:
        need(request.path == "/garcia/api/server/push/varnished/pushByPushId", Reply(404))
        form = request.form()
        given = form.pop("sign")
        need(form.keys() == {"appId", "pushIds", "messageJson"}, _meizu("1005", "参数错误"))
        need(form["appId"] == self.app_id, _meizu("110000", "appId不合法"))
        signed = "".join(f"{key}={form[key]}" for key in sorted(form)) + self.secret
        need(given == hashlib.md5(signed.encode()).hexdigest(), _meizu("1006", "签名认证失败"))
        message = json.loads(form["messageJson"])
        shown, when = message["noticeBarInfo"], message["pushTimeInfo"]
        need(0 < len(shown["title"]) <= 32 and 0 < len(shown["content"]) <= 100, _meizu("1005", "参数错误"))
        need(when["offLine"] == 1 and 1 <= when["validTime"] <= 72, _meizu("1005", "参数错误"))
        need(message["clickTypeInfo"]["clickType"] == 0, _meizu("1005", "参数错误"))
        merge = message.get("advanceInfo", {}).get("notifyKey", "1")
        need(re.fullmatch(r"[0-9a-zA-Z_-]{1,8}", merge), _meizu("1005", "参数错误"))
        if form["pushIds"] != self.device.token:
            return _meizu("200", "", {"110002": [form["pushIds"]]})
        self.shown.append((shown["title"], shown["content"]))
        self.delivered.append(message)
        return _meizu("200", "", {})


def _meizu(code: str, text: str, value: Any = "") -> Reply:
    return Reply(200, {"code": code, "message": text, "value": value, "redirect": "", "msgId": "c2ee5c3bf00448cf"})
