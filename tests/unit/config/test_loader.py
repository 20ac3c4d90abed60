"""Loading: every problem of every file at once, in the order of the files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.flows import AgentTransfer, FilePrompt, Play
from config.loader import load
from tests.unit.config.files import FLOW, Files

WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt "


def test_a_configuration_is_loaded(files: Files) -> None:
    configuration = files.load()
    assert list(configuration.flows) == ["main"]
    assert configuration.path == files.settings
    assert configuration.flow_paths == {"main": files.flow}


def test_paths_are_absolute_once_loaded(files: Files) -> None:
    (files.flow.parent / "hello.wav").write_bytes(WAVE)
    files.change_flow("    prompt: Hello.", "    prompt: {file: hello.wav}")
    configuration = load(Path("switchhook.yaml"), {})
    assert configuration.settings.data == files.folder / "data"
    hello = configuration.flows["main"].nodes["hello"]
    assert isinstance(hello, Play)
    assert hello.prompt == FilePrompt(file=files.folder / "flows" / "hello.wav")


def test_all_problems_of_all_files_are_reported_in_their_order(files: Files) -> None:
    files.change_settings("  rtp:\n    address: 127.0.0.1", "  rtp:\n    address: 0.0.0.0")
    files.change_settings("  carrier:", "  9carrier:")
    files.change_flow("    prompt: Hello.", "    prmpt: Hello.")
    second = FLOW.replace("flow: main", "flow: second").replace("next: talk", "next: tlak")
    (files.flow.parent / "second.yaml").write_text(second, encoding="utf-8")
    assert files.problems({"SWITCHHOOK__DRAIN": "soon"}) == [
        (
            "switchhook.yaml:5:14: sip.rtp.address: must be one address of this machine. "
            "Write the one that peers reach you at"
        ),
        (
            "switchhook.yaml:7:3: trunks.9carrier: a name is a letter, then at most 63 letters, "
            "digits, `-` and `_`"
        ),
        "flows/main.yaml:5:3: nodes.hello.prompt: is missing. Add `prompt`",
        "flows/main.yaml:7:5: nodes.hello.prmpt: unknown key. Did you mean `prompt`?",
        "flows/second.yaml:8:11: nodes.hello.next: there is no node `tlak`. Did you mean `talk`?",
        "SWITCHHOOK__DRAIN:1:1: drain: expected a number, found text",
    ]


def test_valid_flows_are_checked_against_the_settings_while_another_flow_is_broken(
    files: Files,
) -> None:
    (files.flow.parent / "broken.yaml").write_text("flow: [", encoding="utf-8")
    files.change_flow("    bot: greeter", "    bot: greter")
    problems = files.problems()
    assert "flows/main.yaml:11:10: nodes.talk.bot: there is no bot `greter`." in problems[1]
    assert problems[0].startswith("flows/broken.yaml:1:8: is not valid YAML: ")


def test_the_error_text_has_one_line_for_each_problem(files: Files) -> None:
    files.change_flow("start: hello", "start: helo")
    files.change_settings("    kind: internal", "    kind: inside")
    with pytest.raises(ConfigError) as caught:
        files.load()
    assert str(caught.value).splitlines() == files.problems()


def test_a_settings_file_that_is_not_there(files: Files) -> None:
    files.settings.unlink()
    assert files.problems() == ["switchhook.yaml: cannot be read: No such file or directory"]


def test_empty_files(files: Files) -> None:
    files.settings.write_text("# nothing yet\n", encoding="utf-8")
    files.flow.write_text("", encoding="utf-8")
    assert files.problems() == ["switchhook.yaml: is empty", "flows/main.yaml: is empty"]


def test_a_flows_folder_that_is_not_there(files: Files) -> None:
    files.change_settings("bots:", "flows: nowhere\nbots:")
    assert files.problems() == [
        "switchhook.yaml:11:15: trunks.carrier.routes[0].flow: there is no flow `main`",
        "switchhook.yaml:20:8: flows: nowhere cannot be read: No such file or directory",
    ]


def test_a_flow_file_with_the_other_ending_is_not_overlooked(files: Files) -> None:
    files.flow.rename(files.flow.with_suffix(".yml"))
    assert files.problems() == [
        "switchhook.yaml:1:1: flows: flows has no flow files (*.yaml)",
        "switchhook.yaml:11:15: trunks.carrier.routes[0].flow: there is no flow `main`",
        "flows/main.yml: is not read as a flow. Rename it to main.yaml",
    ]


def test_two_flows_of_one_name(files: Files) -> None:
    (files.flow.parent / "other.yaml").write_text(FLOW, encoding="utf-8")
    assert files.problems() == [
        "flows/other.yaml:1:7: flow: flows/main.yaml has a flow `main` too. Rename one of the two"
    ]


def test_a_flow_that_nothing_leads_to(files: Files) -> None:
    spare = "flow: spare\nstart: bye\nnodes:\n  bye: {type: hangup}\n"
    (files.flow.parent / "spare.yaml").write_text(spare, encoding="utf-8")
    assert files.problems() == [
        (
            "flows/spare.yaml:1:7: flow: nothing leads to this flow. "
            "Lead a route of a trunk to it, or a `goto` of another flow"
        )
    ]


def test_a_goto_leads_to_another_flow(files: Files) -> None:
    spare = "flow: spare\nstart: bye\nnodes:\n  bye: {type: hangup}\n"
    (files.flow.parent / "spare.yaml").write_text(spare, encoding="utf-8")
    files.change_flow("    node: talk", "    flow: spare")
    assert files.problems() == []


def test_a_circle_through_two_flows(files: Files) -> None:
    other = "flow: other\nstart: back\nnodes:\n  back: {type: goto, flow: main}\n"
    (files.flow.parent / "other.yaml").write_text(other, encoding="utf-8")
    files.change_flow("start: hello", "start: away\nentries: [hello]")
    files.change_flow("  bye:", "  away: {type: goto, flow: other}\n  bye:")
    assert files.problems() == [
        (
            "flows/main.yaml:33:3: nodes.away: goes round for ever: main.away → other.back → …. "
            "Let one of these lead to a node that does something"
        )
    ]


def test_a_node_without_target_needs_somebody_who_names_one(files: Files) -> None:
    files.change_flow("transfer_node: hand_over", "entries: [hand_over]")
    files.change_flow(
        "    transfer: {billing: to_billing, default: hand_over}",
        "    transfer: {billing: to_billing}",
    )
    assert files.problems() == [
        (
            "flows/main.yaml:20:3: nodes.hand_over.target: is missing, and neither a bot nor the "
            "API hands one over. Add `target`, or let a bot's `transfer` or `transfer_node` lead "
            "here"
        )
    ]


def test_an_inline_target_that_an_allowed_pattern_covers(files: Files) -> None:
    files.change_settings("bots:", "allow: ['sip:*@desk.example.com']\nbots:")
    files.change_flow(
        "    target: billing",
        "    target: {kind: external, destination: sip:x@desk.example.com}",
    )
    node = files.load().flows["main"].nodes["to_billing"]
    assert isinstance(node, AgentTransfer)


def test_files_and_secrets_that_are_missing_are_named(files: Files) -> None:
    files.change_settings("bots:", "waiting: {music: switchhook.yaml}\nbots:")
    files.change_settings(
        "    url: ws://127.0.0.1:9000",
        "    url: ws://127.0.0.1:9000\n    token: {file: token.txt}",
    )
    assert files.problems() == [
        f"switchhook.yaml:20:18: waiting.music: {files.settings} is not a WAV file",
        (
            f"switchhook.yaml:24:5: bots.greeter.token: {files.folder}/token.txt cannot be read: "
            "No such file or directory"
        ),
    ]


def test_a_pipe_is_not_waited_for(files: Files) -> None:
    os.mkfifo(files.folder / "music.wav")
    files.change_settings("bots:", "waiting: {music: music.wav}\nbots:")
    assert files.problems() == [
        f"switchhook.yaml:20:18: waiting.music: {files.folder}/music.wav is not a WAV file"
    ]


def test_two_api_keys_of_one_name(files: Files) -> None:
    key = "{name: page, secret: {env: PAGE}}"
    files.change_settings("bots:", f"api:\n  keys:\n    - {key}\n    - {key}\nbots:")
    assert files.problems({"PAGE": "x"}) == [
        "switchhook.yaml:23:14: api.keys[1].name: another key is called `page` too"
    ]


def test_what_is_allowed_though_it_looks_like_a_conflict(files: Files) -> None:
    files.change_settings(
        "    - address: 127.0.0.1",
        "    - {address: 127.0.0.1, port: 0}\n    - {address: 127.0.0.1, port: 0}",
    )
    files.change_settings("  carrier:", "  pbx:\n    sources: [10.0.0.7]\n  carrier:")
    assert files.problems() == []


def test_a_registrar_serves_as_proxy(files: Files) -> None:
    files.change_settings(
        "    proxy: sip:10.0.0.1",
        "    registration:\n"
        "      registrar: sip:sip.example.com\n"
        "      username: me\n"
        "      password: {env: PASSWORD}",
    )
    assert files.problems({"PASSWORD": "secret"}) == []
    assert files.problems() == [
        (
            "switchhook.yaml:12:7: trunks.carrier.registration.password: the environment variable "
            "PASSWORD is not set, or empty"
        )
    ]
