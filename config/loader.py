"""Reads a configuration: one settings file and a folder of flows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from config.checks import check
from config.configuration import Configuration
from config.document import Document
from config.environment import overlay
from config.errors import ConfigError, Problem
from config.explain import problems_of
from config.flow_checks import check_flows
from config.flows import Flow
from config.settings import Settings
from config.strict import Strict

_Model = TypeVar("_Model", bound=Strict)


def load(path: Path, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read and check a configuration.

    Args:
        path: the settings file.
        environ: overlays the file (see `config.environment`) and holds secrets; default: the
            environment of this process.

    Raises:
        ConfigError: with all problems of all files, the settings first, each file from its top.
    """
    reading = _Reading(os.environ if environ is None else environ)
    path = path.absolute()
    settings = reading.settings(path)
    flows, flow_paths = reading.flows(path, settings)
    if settings is None:
        reading.check_flows_alone(flows, flow_paths)
    else:
        configuration = Configuration(settings, flows, path, flow_paths, reading.documents)
        reading.problems += check(configuration, reading.environ)
        if not reading.problems:
            return configuration
    raise ConfigError(reading.in_file_order())


class _Reading:
    """The files read so far, and what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.documents: dict[Path, Document] = {}
        self.problems: list[Problem] = []

    def settings(self, path: Path) -> Settings | None:
        """The settings; None if they cannot be used."""
        document = self._read(path)
        self.problems += overlay(document, self.environ)
        return self._validate(Settings, document, path.parent)

    def flows(
        self, path: Path, settings: Settings | None
    ) -> tuple[dict[str, Flow], dict[str, Path]]:
        """The flows that can be used, and the files of all flows by name."""
        flows: dict[str, Flow] = {}
        paths: dict[str, Path] = {}
        for flow_path in self._flow_files(path, settings):
            document = self._read(flow_path)
            flow = self._validate(Flow, document, flow_path.parent)
            name = _flow_name(document, flow_path)
            if name in paths:
                message = f"{_shown(paths[name])} has a flow `{name}` too"
                self.problems.append(document.problem(("flow",), message, "Rename one of the two"))
                continue
            paths[name] = flow_path
            if flow is not None:
                flows[name] = flow
        return flows, paths

    def check_flows_alone(self, flows: Mapping[str, Flow], paths: Mapping[str, Path]) -> None:
        """Check what can be checked of the flows while the settings are not right yet."""
        for name, finding in check_flows(flows, paths):
            document = self.documents[paths[name]]
            self.problems.append(document.problem(finding.location, finding.message, finding.hint))

    def in_file_order(self) -> list[Problem]:
        """The problems: those of the settings first, those of the environment last."""
        order = {document.file: place for place, document in enumerate(self.documents.values())}
        return sorted(
            self.problems,
            key=lambda each: (
                order.get(each.file, len(order)), each.file, each.line or 0, each.column or 0,
            ),
        )  # fmt: skip

    def _flow_files(self, path: Path, settings: Settings | None) -> list[Path]:
        if settings is None:
            value = self.documents[path].value
            written = value.get("flows", "flows") if isinstance(value, dict) else "flows"
            usable = isinstance(written, str) and "\0" not in written
            folder = path.parent / (written if usable else "flows")
        else:
            folder = settings.flows
        try:
            files = sorted(folder.iterdir())
        except OSError as error:
            self._folder_problem(path, f"{_shown(folder)} cannot be read: {error.strerror}")
            return []
        for file in files:
            if file.suffix == ".yml":
                message = "is not read as a flow"
                hint = f"Rename it to {file.stem}.yaml"
                self.problems.append(Problem(_shown(file), None, None, "", message, hint))
        flow_files = [file for file in files if file.suffix == ".yaml" and file != path]
        if not flow_files:
            self._folder_problem(path, f"{_shown(folder)} has no flow files (*.yaml)")
        return flow_files

    def _folder_problem(self, path: Path, message: str) -> None:
        document = self.documents[path]
        if document.value is not None:  # else the folder is a guess
            self.problems.append(document.problem(("flows",), message))

    def _read(self, path: Path) -> Document:
        try:
            document = Document.read(path, _shown(path))
        except ConfigError as error:
            document = Document(_shown(path), problems=error.problems)
        self.documents[path] = document
        return document

    def _validate(self, model: type[_Model], document: Document, folder: Path) -> _Model | None:
        if document.value is None:
            self.problems += document.problems
            return None
        try:
            # By way of JSON, where pydantic's strict mode takes text for an address, a path or an
            # enum, but never a number or a boolean for text, nor one for the other.
            return model.model_validate_json(
                json.dumps(document.value), strict=True, context={"folder": folder}
            )
        except ValidationError as error:
            self.problems += problems_of(error, document, model)
            return None
        finally:
            self.problems += document.problems


def _flow_name(document: Document, path: Path) -> str:
    """The name a flow was given. Of a file in which it cannot be read, the file's: most agree."""
    name = document.value.get("flow") if isinstance(document.value, dict) else None
    return name if isinstance(name, str) else path.stem


def _shown(path: Path) -> str:
    """A path as problems call it: short where the file lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
