"""A small configuration on disk that tests change in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config.configuration import Configuration
from config.errors import ConfigError
from config.loader import load

SETTINGS = """\
sip:
  listen:
    - address: 127.0.0.1
  rtp:
    address: 127.0.0.1
trunks:
  carrier:
    sources: [10.0.0.0/24]
    proxy: sip:10.0.0.1
    routes:
      - flow: main
targets:
  billing:
    kind: internal
    destination: sip:billing@10.0.0.8
  doctor:
    kind: external
    destination: "+493012345"
    trunk: carrier
bots:
  greeter:
    url: ws://127.0.0.1:9000
"""

FLOW = """\
flow: main
start: hello
transfer_node: hand_over
nodes:
  hello:
    type: play
    prompt: Hello.
    next: talk
  talk:
    type: bot
    bot: greeter
    transfer: {billing: to_billing, default: hand_over}
    error: bye
  to_billing:
    type: agent_transfer
    target: billing
    fallback:
      busy: {prompt: Billing is busy., node: result}
      default: {end: true}
  hand_over:
    type: agent_transfer
    fallback:
      default: {node: bye}
  result:
    type: lookup
    on: handover.outcome
    cases: {busy: again}
    default: bye
  again:
    type: goto
    node: talk
  bye:
    type: hangup
"""


class Files:
    """`switchhook.yaml`, `flows/main.yaml` and a `secret`, in the working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "switchhook.yaml"
        self.flow = folder / "flows" / "main.yaml"
        self.flow.parent.mkdir()
        self.settings.write_text(SETTINGS, encoding="utf-8")
        self.flow.write_text(FLOW, encoding="utf-8")
        (folder / "secret").write_text("hunter2\n", encoding="utf-8")

    def load(self, environ: Mapping[str, str] | None = None) -> Configuration:
        """The configuration, in an empty environment."""
        return load(self.settings, environ or {})

    def problems(self, environ: Mapping[str, str] | None = None) -> list[str]:
        """Every problem of the configuration, as it is shown."""
        try:
            self.load(environ)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    def change_settings(self, old: str, new: str) -> None:
        """Replace the one run of lines of the settings that is `old`."""
        _change(self.settings, old, new)

    def change_flow(self, old: str, new: str) -> None:
        """Replace the one run of lines of the flow that is `old`."""
        _change(self.flow, old, new)


def _change(path: Path, old: str, new: str) -> None:
    lines, wanted = path.read_text(encoding="utf-8").splitlines(), old.splitlines()
    places = [index for index in range(len(lines)) if lines[index : index + len(wanted)] == wanted]
    assert len(places) == 1, f"{old!r} stands {len(places)} times in {path.name}"
    lines[places[0] : places[0] + len(wanted)] = new.splitlines()
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
