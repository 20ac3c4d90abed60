"""Settings from environment variables."""

from __future__ import annotations

import pytest

from tests.unit.config.files import Files


def test_a_value_of_the_file_is_replaced(files: Files) -> None:
    settings = files.load(
        {
            "SWITCHHOOK__DATA": "/var/lib/switchhook",
            "SWITCHHOOK__SIP__LISTEN__0__PORT": "5070",
            "SWITCHHOOK__TARGETS__DOCTOR__DESTINATION": "+49309999",
            "SWITCHHOOK__BOTS__GREETER__URL": "ws://127.0.0.1:9001",
        }
    ).settings
    assert str(settings.data) == "/var/lib/switchhook"
    assert settings.sip.listen[0].port == 5070
    assert settings.targets["doctor"].destination == "+49309999"
    assert settings.bots["greeter"].url == "ws://127.0.0.1:9001"


def test_sections_and_list_items_that_are_not_in_the_file(files: Files) -> None:
    settings = files.load(
        {
            "SWITCHHOOK__API__PORT": "0",
            "SWITCHHOOK__SIP__LISTEN__1": "{address: 127.0.0.1, transport: tcp}",
            "SWITCHHOOK__ALLOW": "[+49*]",
        }
    ).settings
    assert settings.api.port == 0
    assert [listen.transport for listen in settings.sip.listen] == ["udp", "tcp"]
    assert settings.allow == ["+49*"]


def test_other_variables_are_left_alone(files: Files) -> None:
    assert files.problems({"SWITCHHOOK_DATA": "x", "SWITCHHOOK_API_KEY": "x", "PATH": "x"}) == []


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        (
            "SWITCHHOOK__SIP__MAX_CALS",
            "5",
            "SWITCHHOOK__SIP__MAX_CALS:1:1: sip.max_cals: unknown key. Did you mean `max_calls`?",
        ),
        (
            "SWITCHHOOK__SIP__MAX_CALLS",
            "many",
            "SWITCHHOOK__SIP__MAX_CALLS:1:1: sip.max_calls: expected a whole number, found text",
        ),
        (
            "SWITCHHOOK__SIP__LISTEN__7__PORT",
            "5070",
            (
                "SWITCHHOOK__SIP__LISTEN__7__PORT: does not name a setting. "
                "Write it like `SWITCHHOOK__SIP__LISTEN__0__PORT`"
            ),
        ),
        (
            "SWITCHHOOK__DRAIN__X",
            "5",
            "SWITCHHOOK__DRAIN__X:1:1: drain: expected a number, found a section of keys",
        ),
        (
            "SWITCHHOOK__ALLOW",
            "[",
            (
                "SWITCHHOOK__ALLOW:1:2: is not valid YAML: expected the node content, "
                "but found '<stream end>'"
            ),
        ),
        ("SWITCHHOOK__DRAIN", "", "SWITCHHOOK__DRAIN: is empty"),
    ],
)
def test_problem(files: Files, variable: str, value: str, problem: str) -> None:
    assert files.problems({variable: value}) == [problem]
