"""A whole configuration: the settings, the flows, and where each of their values was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from config.document import Document, Location, dotted
from config.errors import Problem
from config.flows import Flow
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """What `config.loader.load` returns."""

    settings: Settings
    flows: dict[str, Flow]
    """By name."""
    path: Path
    """Of the settings file."""
    flow_paths: dict[str, Path]
    """The file that each flow was read from."""
    documents: dict[Path, Document] = field(default_factory=dict, repr=False, compare=False)
    """The files as read; empty for a configuration that was built in memory."""

    def problem(self, location: Location, message: str, hint: str = "") -> Problem:
        """A problem with a value of the settings."""
        return self._problem(self.path, location, message, hint)

    def flow_problem(self, flow: str, location: Location, message: str, hint: str = "") -> Problem:
        """A problem with a value of a flow."""
        return self._problem(self.flow_paths.get(flow, Path(flow)), location, message, hint)

    def _problem(self, path: Path, location: Location, message: str, hint: str) -> Problem:
        document = self.documents.get(path)
        if document is None:
            return Problem(str(path), None, None, dotted(location), message, hint)
        return document.problem(location, message, hint)
