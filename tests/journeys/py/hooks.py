"""An app's engine with LeanCloud's runtime for Python, as published; its rules are those of `js/hooks-engine.js`.

Runs in that runtime's own environment. Prints its port, then what each hook is given, a line of JSON each.
"""

import json
import sys
from typing import Any

import leancloud
from gevent.pywsgi import WSGIServer

engine = leancloud.Engine()


def hook(name: str) -> Any:
    """Define a hook that is printed when it is called."""

    def define(rule: Any) -> Any:
        def called(**params: Any) -> Any:
            print(json.dumps({"hook": name, "params": params}), flush=True)
            return rule(params)

        engine.define(name)(called)
        return rule

    return define


def reject(code: int, detail: str) -> dict[str, Any]:
    return {"reject": True, "code": code, "detail": detail}


@hook("_messageReceived")
def received(params: dict[str, Any]) -> Any:
    if "drop" in params["content"]:
        return {"drop": True, "code": 7, "detail": "dropped"}
    if "change" in params["content"]:
        return {"content": params["content"].replace("change", "changed"), "code": 8, "detail": "why"}
    if "hide" in params["content"]:
        return {"toPeers": []}
    if "crash" in params["content"]:
        raise ValueError("crash")
    return None


@hook("_messageUpdate")
def update(params: dict[str, Any]) -> Any:
    if params["recall"] or "drop" in params["content"]:
        return {"drop": True, "code": 9, "detail": "stays"}
    return {}


@hook("_conversationStart")
def start(params: dict[str, Any]) -> Any:
    return reject(5, "forbidden name") if params["attr"].get("name") == "forbidden" else {}


@hook("_conversationAdd")
def add(params: dict[str, Any]) -> Any:
    return reject(6, "an enemy") if any(member.startswith("enemy") for member in params["members"]) else {}


@hook("_conversationRemove")
def remove(params: dict[str, Any]) -> Any:
    return reject(4, "a friend") if any(member.startswith("friend") for member in params["members"]) else {}


@hook("_conversationUpdate")
def change(params: dict[str, Any]) -> Any:
    if params.get("attr", {}).get("name") == "forbidden":
        return reject(3, "forbidden name")
    if "attr" in params:
        return {"attr": {"name": params["attr"]["name"].upper()}}
    return {}


@hook("_rtmClientSign")
def sign(params: dict[str, Any]) -> Any:
    return {"result": False, "error": "banned"} if params["username"].startswith("banned") else {"result": True}


@hook("_receiversOffline")
def offline(params: dict[str, Any]) -> Any:
    return {"offlinePeers": params["offlinePeers"][:1], "pushMessage": json.dumps({"alert": "hi"}), "force": True}


def ignore(params: dict[str, Any]) -> None:
    pass


for told in (
    "_messageSent",
    "_conversationStarted",
    "_conversationAdded",
    "_conversationRemoved",
    "_clientOnline",
    "_clientOffline",
):
    hook(told)(ignore)


def website(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"This is a LeanEngine application."]


server = WSGIServer(("127.0.0.1", int(sys.argv[1])), engine.wrap(website), log=None, error_log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
