"""What of an installation a push needs: by which service it is reached, and there by which address."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hongyan import errors
from hongyan.engine.pushing import Device, Environment
from hongyan.errors import Refused

#: The makers' own services for Android devices, by the names that SDKs and people give to `vendor`.
VENDORS = {
    "fcm": "fcm",
    "firebase": "fcm",
    "gcm": "fcm",
    "hms": "hms",
    "huawei": "hms",
    "honor": "honor",
    "mi": "mi",
    "xiaomi": "mi",
    "mz": "mz",
    "meizu": "mz",
    "flyme": "mz",
    "oppo": "oppo",
    "vivo": "vivo",
}
IOS, ANDROID, WEB = "ios", "android", "web"
#: Where a browser's keys stand.
KEYS = "pushKeys"
#: Bytes of these keys (RFC 8291).
_KEY_BYTES = {"p256dh": 65, "auth": 16}


def platform_of(values: Mapping[str, Any]) -> str:
    """The platform of the content for a device: an Android device's is its vendor, `android` without one."""
    kind = str(values.get("deviceType", "")).lower()
    return vendor_of(values.get("vendor")) or kind if kind == ANDROID else kind


def vendor_of(given: Any) -> str | None:
    """Names come in any case, and from the SDKs with `lc-` before them."""
    return VENDORS.get(given.lower().removeprefix("lc-")) if isinstance(given, str) else None


def address_of(values: Mapping[str, Any], platform: str) -> str | None:
    """Where the device is reached; a webhook gets what there is."""
    if platform in (IOS, WEB):
        names: tuple[str, ...] = ("deviceToken",)
    elif platform in VENDORS.values():
        names = ("registrationId",)
    else:
        names = ("registrationId", "deviceToken", "installationId")
    found = (values.get(name) for name in names)
    return next((each for each in found if isinstance(each, str) and each), None)


def device_of(
    values: Mapping[str, Any],
    platform: str,
    environment: Environment,
    *,
    badge: int | None = None,
    topic: str = "",
    team: str = "",
) -> Device | None:
    """None if it has no address. `topic` and `team` come before the device's own."""
    token = address_of(values, platform)
    if token is None:
        return None
    keys = values.get(KEYS)
    return Device(
        platform,
        token,
        app=topic or _text(values.get("apnsTopic")),
        team=team or _text(values.get("apnsTeamId")),
        environment=environment,
        badge=badge,
        keys={name: str(value) for name, value in keys.items()} if isinstance(keys, Mapping) else {},
    )


def check_browser(values: Mapping[str, Any]) -> None:
    """Raises Refused(INVALID_VALUE) if this can't be the subscription of a browser: `endpoint` and `keys` of it."""
    endpoint, keys = values.get("deviceToken"), values.get(KEYS)
    try:
        parts = urlsplit(endpoint) if isinstance(endpoint, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        raise Refused(errors.INVALID_VALUE, "the deviceToken of a browser is the endpoint of its subscription, a URL")
    if not isinstance(keys, dict) or any(_bytes(keys.get(name)) != size for name, size in _KEY_BYTES.items()):
        raise Refused(errors.INVALID_VALUE, f"{KEYS} are the keys of a browser's subscription: p256dh and auth")


def _bytes(given: Any) -> int | None:
    """How many bytes a text in base64url stands for; None for what is none."""
    if not isinstance(given, str) or not given.isascii():
        return None
    bare = given.rstrip("=")
    try:
        return len(base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True))
    except ValueError:
        return None


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""
