"""Installations (`_Installation`): devices that pushes may go to (REST reference 8.6).

Who has the app's key alone may register a device and change it. An installation's id, which its device is told when it
registers, is the secret for that: lists are for the master key, and so are the addresses of devices, so that no
device learns another's.
"""

from collections.abc import Mapping
from typing import Any

from hongyan import errors
from hongyan.engine import objects
from hongyan.engine.conditions import Condition
from hongyan.engine.ports import ObjectStore
from hongyan.engine.push_devices import KEYS, WEB, check_browser
from hongyan.engine.query import Query
from hongyan.engine.values import App, ObjectRow, new_object_id
from hongyan.errors import Refused

#: The addresses of a device: whoever has them can send to it.
SECRET = frozenset({"deviceToken", "registrationId", "installationId", KEYS})
#: With a new one of these a device is valid again.
_ADDRESSES = ("deviceToken", "registrationId")
#: An id that is shorter might be guessed, and with it a device be led astray.
ID_MIN, ID_MAX, TOKEN_MAX, TYPE_MAX = 16, 256, 4_096, 32
CHANNELS_MAX, CHANNEL_MAX = 1_000, 128


class Installations:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def register(self, app: App, given: Mapping[str, Any]) -> tuple[ObjectRow, bool]:
        """The installation of a device, and whether it is a new one: a device is known by its ids."""
        values = _checked(objects.changed({"valid": True}, given))
        known = await self._known(app, values)
        if known is None:
            try:
                return await self._store.insert(app.key, new_object_id(), values), True
            except Refused:
                known = await self._known(app, values)  # the device registered twice at once
                if known is None:
                    raise
        return await self._store.update(app.key, known.id, lambda before: _change(before, given)), False

    async def read(self, app: App, object_id: str) -> ObjectRow | None:
        return await self._store.get(app.key, object_id)

    async def find(self, app: App, wanted: Query) -> list[ObjectRow]:
        return await self._store.find(app.key, wanted)

    async def count(self, app: App, condition: Condition) -> int:
        return await self._store.count(app.key, condition)

    async def types(self, app: App) -> Mapping[str, str]:
        """What custom keys hold."""
        return await self._store.types(app.key)

    async def change(
        self, app: App, object_id: str, given: Mapping[str, Any], condition: Condition | None = None
    ) -> ObjectRow:
        values = {key: value for key, value in given.items() if key != "objectId" or value != object_id}
        return await self._store.update(app.key, object_id, lambda before: _change(before, values), condition)

    async def delete(self, app: App, object_id: str) -> None:
        """Raises Refused(OBJECT_NOT_FOUND)."""
        if not await self._store.delete(app.key, object_id):
            raise Refused(errors.OBJECT_NOT_FOUND, "no installation has this id")

    async def bind(self, app: App, client: str, device: str) -> None:
        """A client logs in on a device, which listens to it from now on, if it has registered (reference 4.1).

        As everywhere, who knows the id or the token of a device may change it. Raises Refused.
        """
        row = await self._of_device(app, device)
        if row is not None and client not in row.values.get("channels", ()):
            await self.change(app, row.id, {"channels": {"__op": "AddUnique", "objects": [client]}})

    async def unbind(self, app: App, client: str, device: str) -> None:
        """A client logs out on a device, which listens to it no more. Raises Refused."""
        row = await self._of_device(app, device)
        if row is not None and client in row.values.get("channels", ()):
            await self.change(app, row.id, {"channels": {"__op": "Remove", "objects": [client]}})

    async def _of_device(self, app: App, device: str) -> ObjectRow | None:
        """By what a device says of itself to the gateway: the id that it gave itself, or its address."""
        if len(device) < ID_MIN:
            return None
        found = await self._store.by(app.key, "installationId", device)
        return found or await self._store.by(app.key, "deviceToken", device)

    async def _known(self, app: App, values: Mapping[str, Any]) -> ObjectRow | None:
        """By the id that the device gave itself, or else by its address."""
        key = "installationId" if values.get("installationId") is not None else "deviceToken"
        return await self._store.by(app.key, key, values[key])


def shown(row: ObjectRow, *, is_master: bool) -> dict[str, Any]:
    """What of an installation a caller sees."""
    return {key: value for key, value in row.values.items() if is_master or key not in SECRET}


def _change(before: dict[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    addresses = [before.get(name) for name in _ADDRESSES]
    after = objects.changed(before, given)
    if "valid" not in given and addresses != [after.get(name) for name in _ADDRESSES]:
        after["valid"] = True
    return _checked(after)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Raises Refused(INVALID_VALUE)."""
    if objects.text_of(values, "deviceType", TYPE_MAX) is None:
        raise Refused(errors.INVALID_VALUE, "deviceType is needed")
    token, own_id = objects.text_of(values, "deviceToken", TOKEN_MAX), objects.text_of(values, "installationId", ID_MAX)
    if token is None and own_id is None:
        raise Refused(errors.INVALID_VALUE, "deviceToken or installationId is needed")
    if min(len(each) for each in (token, own_id) if each is not None) < ID_MIN:
        raise Refused(errors.INVALID_VALUE, f"deviceToken and installationId have at least {ID_MIN} characters")
    if not isinstance(values.get("valid"), bool):
        raise Refused(errors.INVALID_VALUE, "valid must be true or false")
    _check_channels(values.get("channels", []))
    if values["deviceType"] == WEB:
        check_browser(values)
    return values


def _check_channels(channels: Any) -> None:
    if not isinstance(channels, list) or len(channels) > CHANNELS_MAX:
        raise Refused(errors.INVALID_VALUE, f"channels must be an array of at most {CHANNELS_MAX}")
    if not all(isinstance(each, str) and 1 <= len(each) <= CHANNEL_MAX for each in channels):
        raise Refused(errors.INVALID_VALUE, f"a channel is a string of 1 to {CHANNEL_MAX} characters")
