"""The two kinds of channels as the hub opens them."""

import msgspec
import pytest

from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.wecom import app, robot
from tests.support.hub import Around

GIVEN = {
    "wecom_robot": {"key": "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001"},
    "wecom": {"corp_id": "ww1", "secret": "s", "agent_id": 1000002},
}


@pytest.mark.parametrize("kind", [robot.KIND, app.KIND])
async def test_a_kind(kind: ChannelKind, around: Around) -> None:
    credentials = msgspec.convert(GIVEN[kind.name], kind.credentials)
    with pytest.raises(msgspec.ValidationError, match="begins with https"):
        msgspec.convert({**GIVEN[kind.name], "base_url": "qyapi.weixin.qq.com"}, kind.credentials)
    assert kind.secret < set(kind.credentials.__struct_fields__)
    assert kind.credentials.__struct_config__.frozen
    with pytest.raises(msgspec.ValidationError, match="unknown field `x`"):
        msgspec.convert({**GIVEN[kind.name], "x": 1}, kind.credentials)
    await kind.open(credentials, around()).close()


def test_an_application_reaches_a_thousand_members_by_one_call() -> None:
    assert (app.KIND.batch, robot.KIND.batch) == (1_000, 1)
