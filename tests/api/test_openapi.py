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
    assert [path for path in printed["paths"] if not path.startswith(("/1", "/2/", "/v1/", "/files/"))] == []


def test_each_call_says_what_it_is_for_and_how_it_fails() -> None:
    for path, calls in document()["paths"].items():
        for method, call in calls.items():
            assert call["summary"], (method, path)
            assert call["responses"].keys() >= {"default"}
            assert call["responses"].keys() & {"200", "201"}
