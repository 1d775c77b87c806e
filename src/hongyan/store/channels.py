"""Which installations listen to a channel: kept in the writes that change installations. On the driver.

Only valid ones: those that are not are many in the course of time, and nobody is to look through them for each message.
"""

import json
from collections.abc import Mapping
from typing import Any

#: What stays is not touched: devices are saved at each start of their app, mostly unchanged.
_FORGET = "DELETE FROM installation_channel WHERE installation = ? AND channel NOT IN (SELECT value FROM json_each(?))"
_LISTEN = "INSERT OR IGNORE INTO installation_channel (app, channel, installation) SELECT ?, value, ? FROM json_each(?)"


def keep(driver: Any, app_key: int, installation: int, values: Mapping[str, Any]) -> None:
    """Inside a write: the channels that stand in an installation's values, and no others. None if it is not valid."""
    given = values.get("channels") if values.get("valid") is True else None
    found = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    channels = json.dumps(found)
    driver.execute(_FORGET, (installation, channels))
    if found:
        driver.execute(_LISTEN, (app_key, installation, channels))
