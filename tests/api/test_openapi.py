"""The OpenAPI document of the HTTP door."""

import json

import pytest

from hongyan.api.openapi import document
from hongyan.cli import run


def test_the_command_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["openapi"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(document()))
    assert printed["paths"]["/1.1/login"]["post"]["summary"].startswith("Log in by")
    assert [
        path for path in printed["paths"] if not path.startswith(("/1", "/2/", "/v1/", "/files/", "/api/v1/"))
    ] == []


def test_each_call_says_what_it_is_for_and_how_it_fails() -> None:
    for path, calls in document()["paths"].items():
        for method, call in calls.items():
            assert call["summary"], (method, path)
            assert call["responses"].keys() >= {"default"}
            assert call["responses"].keys() & {"200", "201", "202"}


def test_our_own_calls_say_what_their_bodies_are() -> None:
    made = document()
    call = made["paths"]["/api/v1/webhooks"]["post"]
    schema = call["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/NewWebhook"}
    described = made["components"]["schemas"]["NewWebhook"]
    assert (described["required"], described["additionalProperties"]) == (["url"], False)
    assert {"Bearer": []} in call["security"]
    assert [each["name"] for each in made["paths"]["/api/v1/webhooks"]["get"]["parameters"]] == ["limit", "cursor"]
