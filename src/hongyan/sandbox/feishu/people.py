"""What the app is told of itself, of people and of groups."""

from aiohttp import web

from hongyan.sandbox.feishu.answers import Refusal, answer, asked_of
from hongyan.sandbox.feishu.world import APP_NAME, BOT_ID, GROUPS, PEOPLE, find_person


async def bot_info(_: web.Request) -> web.Response:
    """The app itself, as a bot."""
    bot = {"activate_status": 2, "app_name": APP_NAME, "avatar_url": "", "ip_white_list": [], "open_id": BOT_ID}
    return web.json_response({"code": 0, "msg": "ok", "bot": bot})


async def batch_get_id(request: web.Request) -> web.Response:
    """Who has a mail address or a mobile number; who is outside of the range has no id."""
    asked, _ = await asked_of(request)
    id_type = request.query.get("user_id_type", "open_id")
    emails, mobiles = asked.get("emails") or [], asked.get("mobiles") or []
    if len(emails) > 50 or len(mobiles) > 50 or not (emails or mobiles):
        raise Refusal(40001, "param error")
    found = []
    for kind, values in (("email", emails), ("mobile", mobiles)):
        for value in values:
            person = next((each for each in PEOPLE.values() if getattr(each, kind) == value), None)
            known = {"user_id": person.ids()[id_type]} if person and person.inside else {}
            found.append({kind: value, **known})
    return answer({"user_list": found})


async def user(request: web.Request) -> web.Response:
    """One person, by any of the ids."""
    person = find_person(request.match_info["id"])
    if person is None:
        raise Refusal(99992351, "The request you send is not a valid {open_id} or not exists, example value: ou_")
    if not person.inside:
        raise Refusal(41050, "no user authority error", 400)
    return answer({"user": {**person.ids(), "name": person.name, "email": person.email}})


async def chats(_: web.Request) -> web.Response:
    """The groups in which the bot is."""
    items = [{"chat_id": each.id, "name": each.title} for each in GROUPS.values() if each.bot and not each.dissolved]
    return answer({"items": items, "has_more": False, "page_token": ""})


async def chat(request: web.Request) -> web.Response:
    """One group."""
    group = GROUPS.get(request.match_info["id"])
    if group is None:
        raise Refusal(232006, "Your request specifies a chat_id which is invalid.")
    return answer({"name": group.title, "chat_mode": "group"})
