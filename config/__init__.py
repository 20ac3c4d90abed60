"""What an operator writes: settings, trunks, targets, bots and flows, as strict models."""

from __future__ import annotations

from pathlib import Path


def example_path() -> Path:
    """The settings file of the example configuration that ships with the product."""
    return Path(__file__).parent / "example" / "switchhook.yaml"
