"""Rates of accounts: whoever does not know the secret, or names another place, does not share them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from hongyan.hub.connector import Problem, Target
from hongyan.hub.connectors.dingtalk.api import Api as DingTalk
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials as DingTalkCredentials
from hongyan.hub.connectors.feishu.api import Api as Feishu
from hongyan.hub.connectors.feishu.credentials import AppCredentials as FeishuCredentials
from hongyan.hub.connectors.wecom.app import App as WeCom
from hongyan.hub.connectors.wecom.credentials import AppCredentials as WeComCredentials
from hongyan.hub.surroundings import Surroundings
from tests.support.hub import Around

Take = Callable[[], None]


def dingtalk(around: Surroundings, secret: str, base_url: str) -> Take:
    made = DingTalk(DingTalkCredentials(app_key="a", app_secret=secret, base_url=base_url), around)
    return lambda: made._pace("/v1.0/x")


def feishu(around: Surroundings, secret: str, base_url: str) -> Take:
    made = Feishu(FeishuCredentials(app_id="a", app_secret=secret, base_url=base_url), around)
    return lambda: made.take("ou_1")


def wecom(around: Surroundings, secret: str, base_url: str) -> Take:
    made = WeCom(WeComCredentials(corp_id="a", secret=secret, agent_id=1, base_url=base_url), around)
    return lambda: made._count(Target("user", "tom"))


@pytest.mark.parametrize("platform", [dingtalk, feishu, wecom])
def test_rates_are_of_who_knows_the_secret(around: Around, platform: Any) -> None:
    shared, place = around(), "https://platform.example"
    with suppress(Problem):
        for _ in range(1000):
            platform(shared, "secret", place)()
    with pytest.raises(Problem):  # another channel with the same account
        platform(shared, "secret", place)()
    platform(shared, "guess", place)()
    platform(shared, "secret", "https://elsewhere.example")()
