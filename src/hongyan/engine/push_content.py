"""The content of a push as an app gives it, and what of it one platform is sent (REST reference 6.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine import json_text
from hongyan.engine.pushing import Environment

#: Keys under which content for one platform stands beside the rest. All but `ios` are Android devices.
PLATFORMS = ("ios", "android", "mi", "hms", "mz", "vivo", "oppo", "fcm", "honor")
INCREMENT = "Increment"
BADGE_MAX = 2**31 - 1
_PROFILE, _TEAM = "_profile", "_apns_team_id"


@dataclass(frozen=True, slots=True)
class PushContent:
    """Content for all platforms."""

    generic: Mapping[str, Any]
    special: Mapping[str, Mapping[str, Any]]
    """What is different on one platform."""
    environment: Environment
    team: str
    """The Apple team; empty: any."""

    def for_platform(self, platform: str) -> dict[str, Any]:
        """All keys of one platform: its own, before those of Android, before those for all."""
        android = self.special.get("android", {}) if platform in PLATFORMS and platform != "ios" else {}
        return {**self.generic, **android, **self.special.get(platform, {})}


def parse(given: str | Mapping[str, Any]) -> PushContent:
    """A JSON object or a text of one; any other text is the alert. Raises ValueError with one sentence."""
    return _content(_object(given))


def parse_static(text: str, conversation_id: str, at: int, from_client: str) -> PushContent:
    """The text that an app has set once for all its pushes: only there variables stand. `at` in ms.

    That `${timestamp}` counts seconds is inferred. Raises ValueError with one sentence.
    """
    variables = {"${convId}": conversation_id, "${timestamp}": str(at // 1000), "${fromClientId}": from_client}
    return _content(_filled(_object(text), variables))


def _object(given: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        value = json_text.parse(given)
    except ValueError:
        return {"alert": given}
    return value if isinstance(value, dict) else {"alert": given}


def _content(given: Mapping[str, Any]) -> PushContent:
    special = {}
    for platform in PLATFORMS:
        if platform in given:
            special[platform] = _checked(given[platform], f"`{platform}`")
    generic = {key: value for key, value in _checked(given, "the content of a push").items() if key not in PLATFORMS}
    if not any((generic, *special.values())):
        raise ValueError("the content of a push is empty")
    team = given.get(_TEAM, "")
    if not isinstance(team, str):
        raise ValueError(f"`{_TEAM}` must be a text")
    return PushContent(generic, special, "dev" if given.get(_PROFILE) == "dev" else "prod", team)


def _checked(given: Any, name: str) -> dict[str, Any]:
    """The keys that are sent on."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be an object")
    alert, badge = given.get("alert", ""), given.get("badge", 0)
    if not isinstance(alert, str | Mapping):
        raise ValueError(f"`alert` in {name} must be a text or an object")
    if badge != INCREMENT and (not isinstance(badge, int) or isinstance(badge, bool) or not 0 <= badge <= BADGE_MAX):
        raise ValueError(f"`badge` in {name} must be a number or the word {INCREMENT}")
    return {key: value for key, value in given.items() if key not in (_PROFILE, _TEAM)}


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    """Values only: a name that stands in a variable can't become part of the JSON."""
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    return [_filled(each, variables) for each in value] if isinstance(value, list) else value
