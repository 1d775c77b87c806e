"""Firebase Cloud Messaging (see hongyan.push.fcm for where each rule stands)."""

import json
import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need

PROJECT, EMAIL, KEY_ID = "demo-chat", "push@demo-chat.iam.gserviceaccount.com", "0123456789abcdef"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: To make one takes about a tenth of a second.
KEY, OTHER_KEY = RSAKey.generate_key(2048, private=True), RSAKey.generate_key(2048, private=True)
_FCM, _REQUEST = "type.googleapis.com/google.firebase.fcm.v1.FcmError", "type.googleapis.com/google.rpc.BadRequest"


def error(status: int, name: str, text: str, *details: dict[str, Any], **headers: str) -> Reply:
    body = {"error": {"code": status, "message": text, "status": name, "details": list(details)}}
    return Reply(status, body, {key.replace("_", "-"): value for key, value in headers.items()})


def invalid(field: str, text: str) -> Reply:
    violation = {"@type": _REQUEST, "fieldViolations": [{"field": field, "description": text}]}
    return error(400, "INVALID_ARGUMENT", text, {"@type": _FCM, "errorCode": "INVALID_ARGUMENT"}, violation)


class Fcm(Emulator):
    adapter = "fcm"
    device = Device("fcm", "cXy:APA91bHun4MxP5egoKMwt2KZFBaFUH")
    wait = 7.0

    @property
    def credentials(self) -> dict[str, Any]:
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": KEY.as_pem(private=True).decode(),
            "client_email": EMAIL,
            "client_id": "1122334455",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": f"{self.url}/token",
            "universe_domain": "googleapis.com",
            "base_url": self.url,
        }

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "private_key": OTHER_KEY.as_pem(private=True).decode()}

    @property
    def secrets(self) -> list[str]:
        return [KEY.as_pem(private=True).decode().splitlines()[1], "token-1"]

    def authenticate(self, request: Request) -> Reply | None:
        if request.path != "/token":
            return None
        form = request.form()
        need(form["grant_type"] == GRANT, Reply(400, {"error": "unsupported_grant_type"}))
        refused = Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        try:
            token = jwt.decode(form["assertion"], KEY, ["RS256"])
        except JoseError:
            return refused
        claims = token.claims
        need(token.header["kid"] == KEY_ID and claims["iss"] == EMAIL, refused)
        need(claims["aud"] == f"{self.url}/token" and claims["scope"] == SCOPE, refused)
        need(claims["exp"] - claims["iat"] <= 3_600 and abs(time.time() - claims["iat"]) < 300, refused)
        return Reply(200, {"access_token": self.new_token(), "expires_in": 3_599, "token_type": "Bearer"})

    def limited(self) -> Reply:
        detail = {"@type": _FCM, "errorCode": "QUOTA_EXCEEDED"}
        return error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", detail, Retry_After="7")

    def deliver(self, request: Request) -> Reply:
        need(request.path == f"/v1/projects/{PROJECT}/messages:send", error(404, "NOT_FOUND", "Not found."))
        given = request.headers.get("authorization", "")
        need(
            given.removeprefix("Bearer ") in self.valid,
            error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        )
        body = request.json()
        need(body.keys() == {"message"}, invalid("", "Unknown name."))
        message = body["message"]
        need(message.keys() <= {"token", "data", "notification", "android"}, invalid("message", "Unknown name."))
        data = message.get("data", {})
        need(all(isinstance(value, str) for value in data.values()), invalid("message.data", "Invalid value."))
        reserved = [key for key in data if key in ("from", "message_type") or key.startswith(("google.", "gcm."))]
        need(not reserved, invalid("message.data", "Invalid data payload key."))
        android = message["android"]
        need(
            android["ttl"].endswith("s") and int(android["ttl"][:-1]) <= 2_419_200,
            invalid("message.android.ttl", "No."),
        )
        need(android["priority"] in ("HIGH", "NORMAL"), invalid("message.android.priority", "No."))
        rest = {key: value for key, value in message.items() if key != "token"}
        size = len(json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode())
        need(size <= 4_096, invalid("message", "Message too big."))
        need(":" in message["token"], invalid("message.token", "The registration token is not a valid FCM token"))
        unregistered = {"@type": _FCM, "errorCode": "UNREGISTERED"}
        need(message["token"] == self.device.token, error(404, "NOT_FOUND", "Not found.", unregistered))
        shown = message.get("notification", {})
        self.shown.append((shown.get("title", ""), shown.get("body", "")))
        self.delivered.append(message)
        return Reply(200, {"name": f"projects/{PROJECT}/messages/0:1"})
