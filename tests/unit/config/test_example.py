"""The example that ships: valid as it is, and broken in every way that chance finds."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import config
from config.document import Document
from config.errors import ConfigError, Problem
from config.flows import AgentTransfer
from config.loader import load

EXAMPLE = config.example_path()
FILES = ["switchhook.yaml", "flows/reception.yaml"]
TEXTS = {name: (EXAMPLE.parent / name).read_text(encoding="utf-8") for name in FILES}
VALUES = {name: Document.parse(text, name).value for name, text in TEXTS.items()}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["sip:x@y", "+491234", "type", "play", "default", "FilePrompt", "[key]"]),
)
TREES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["type", "file"]), below, max_size=3
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(EXAMPLE.parent, name, dirs_exist_ok=True)
        yield Path(name)


def test_the_example_is_valid() -> None:
    configuration = load(EXAMPLE, {})
    assert list(configuration.flows) == ["reception"]


def test_the_example_shows_what_a_flow_can_do() -> None:
    nodes = load(EXAMPLE, {}).flows["reception"].nodes
    kinds = {node.type for node in nodes.values()}
    assert kinds == {"play", "bot", "agent_transfer", "lookup", "goto", "hangup"}
    billing = nodes["to_billing"]
    assert isinstance(billing, AgentTransfer)
    assert set(billing.fallback) == {"486", "no_answer", "5xx", "default"}


@st.composite
def damaged_text(draw: st.DrawFn) -> tuple[str, str]:
    """A file of the example with a piece of its text replaced."""
    name = draw(st.sampled_from(FILES))
    text = TEXTS[name]
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 40)))
    piece = draw(st.text(max_size=10) | st.text("{}[]:,-#&*!|>'\"%@`?\n\t \\ux0", max_size=10))
    return name, text[:start] + piece + text[end:]


@st.composite
def damaged_value(draw: st.DrawFn) -> tuple[str, str]:
    """A file of the example with one of its values, or keys, replaced."""
    name = draw(st.sampled_from(FILES))
    value = copy.deepcopy(VALUES[name])
    parent, key = draw(st.sampled_from(list(places(value))))
    replacement = draw(TREES)
    if isinstance(parent, dict) and draw(st.booleans()):
        parent[draw(st.text(max_size=8) | st.sampled_from(["type", "play"]))] = parent.pop(key)
    else:
        parent[key] = replacement
    return name, yaml.safe_dump(value, allow_unicode=draw(st.booleans()), sort_keys=False)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree, as its parent and the key or index there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in items:
        yield value, key
        if isinstance(below, dict | list):
            yield from places(below)


def problems(folder: Path) -> list[Problem]:
    try:
        load(folder / "switchhook.yaml", {})
    except ConfigError as error:
        return error.problems
    return []


@settings(max_examples=300)
@given(damaged=damaged_text() | damaged_value())
def test_whatever_is_wrong_is_reported_as_problems(folder: Path, damaged: tuple[str, str]) -> None:
    name, text = damaged
    with suppress(UnicodeEncodeError):
        (folder / name).write_text(text, encoding="utf-8")
    for problem in problems(folder):
        assert problem.message
        str(problem).encode()
    (folder / name).write_text(TEXTS[name], encoding="utf-8")


@settings(max_examples=100)
@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_text(folder: Path, data: bytes) -> None:
    (folder / "flows" / "reception.yaml").write_bytes(data)
    assert problems(folder)
    (folder / "flows" / "reception.yaml").write_text(TEXTS[FILES[1]], encoding="utf-8")


@settings(max_examples=200)
@given(
    variable=st.lists(
        st.sampled_from(["SIP", "LISTEN", "0", "1", "PORT", "TARGETS", "BILLING", "X", ""]),
        min_size=1,
        max_size=4,
    ),
    value=st.text() | st.sampled_from(["5", "{}", "[]", "{port: 1}", "~"]),
)
def test_whatever_a_variable_says(variable: list[str], value: str) -> None:
    with suppress(ConfigError):
        load(EXAMPLE, {"SWITCHHOOK__" + "__".join(variable): value})
