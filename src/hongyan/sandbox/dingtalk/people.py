"""What the app is told of people."""

from aiohttp import web

from hongyan.sandbox.dingtalk.answers import fields, legacy
from hongyan.sandbox.dingtalk.world import PEOPLE


async def by_mobile(request: web.Request) -> web.Response:
    """The id of who has a mobile number."""
    mobile = str((await fields(request)).get("mobile"))
    for person in PEOPLE.values():
        if person.mobile == mobile:
            return legacy(0, "ok", result={"userid": person.id, "exclusive_account_userid_list": []})
    return legacy(60121, "找不到该用户")
