"""The prompts of a configuration, and where each of them is written."""

from __future__ import annotations

from config.configuration import Configuration
from config.document import Location
from config.errors import Problem
from config.flows import FilePrompt, Prompt
from config.graph import prompts
from ivr.prompts.errors import PromptError

Places = list[tuple[str, Location]]
"""Flows, and locations in them."""


def places_of_prompts(configuration: Configuration) -> dict[Prompt, Places]:
    """Every prompt of every flow, each once."""
    places: dict[Prompt, Places] = {}
    for name, flow in configuration.flows.items():
        for node_name, node in flow.nodes.items():
            for location, prompt in prompts(node):
                inside = ("file",) if isinstance(prompt, FilePrompt) else ()
                place = (name, ("nodes", node_name, *location, *inside))
                places.setdefault(prompt, []).append(place)
    return places


def problems_at(configuration: Configuration, places: Places, error: PromptError) -> list[Problem]:
    """An error as problems of the flows, one for each place where its prompt is written."""
    return [
        configuration.flow_problem(flow, location, error.message, error.hint)
        for flow, location in places
    ]
