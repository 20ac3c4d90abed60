"""The pages for operators and flow authors say what the models say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from config import flows
from config.document import Document
from config.groups import Group
from config.hours import Hours
from config.outcomes import NO_FALLBACK, OUTCOMES
from config.reference import MARKER, render
from config.trunks import Trunk

DOCS = Path(__file__).parents[3] / "docs"
FLOWS = (DOCS / "flows.md").read_text(encoding="utf-8")
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")

MODELS: list[type[BaseModel]] = [
    flows.Flow,
    flows.Play,
    flows.Bot,
    flows.AgentTransfer,
    flows.Fallback,
    flows.Retry,
    flows.Lookup,
    flows.Goto,
    flows.Hangup,
    flows.TextPrompt,
    flows.FilePrompt,
]
KEYS = sorted({key for model in MODELS for key in model.model_fields})


def test_the_reference_is_up_to_date() -> None:
    _, _, reference = CONFIGURATION.partition(MARKER)
    assert reference == f"\n{render()}", "run: python -m config.reference docs/configuration.md"


@pytest.mark.parametrize("key", KEYS)
def test_the_page_on_flows_names_every_key(key: str) -> None:
    assert re.search(rf"`{key}`|\b{key}:", FLOWS)


@pytest.mark.parametrize("outcome", sorted(set(OUTCOMES) - NO_FALLBACK))
def test_the_page_on_flows_explains_every_failure(outcome: str) -> None:
    assert f"| `{outcome}` |" in FLOWS


def test_the_examples_on_the_page_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", FLOWS, re.DOTALL)
    assert len(blocks) > 5
    for block in blocks:
        document = Document.parse(block, "flows.md")
        assert document.problems == []
        if trunks := document.value.get("trunks"):
            known = {name: {"sources": ["10.0.0.1/32"], **keys} for name, keys in trunks.items()}
            TypeAdapter(dict[str, Trunk]).validate_python(known)
            continue
        if groups := document.value.get("groups"):
            TypeAdapter(dict[str, Group]).validate_python(groups)
            continue
        if hours := document.value.get("hours"):
            TypeAdapter(dict[str, Hours]).validate_python(hours)
            continue
        nodes = document.value.get("nodes", document.value)
        TypeAdapter(dict[str, flows.Node]).validate_python(nodes)
