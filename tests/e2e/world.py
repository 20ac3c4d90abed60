"""The world an end-to-end test plays in: who is where, what is configured, which tone means what.

    carrier 127.0.0.2 ──▶ gateway 127.0.0.1 ──▶ pbx 127.0.0.3        bot: in the test's process
                                                 stranger 127.0.0.9, in nobody's trunk

Every prompt is a tone of its own, so that a recording proves which one was heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import soundfile
import yaml

from sip.softphone.tones import tone, tone_name
from tests.peers import network

GATEWAY = "127.0.0.1"
CARRIER = "127.0.0.2"
PBX = "127.0.0.3"
STRANGER = "127.0.0.9"

RTP_PORTS = 240
MAX_CALLS = 100

CALLER_TONE = 440
AGENT_TONE = 880
BOT_TONE = 1760
RINGBACK = "425 Hz"

PROMPTS = {
    "welcome": 495,
    "accepted": 550,
    "goodbye": 605,
    "code-486": 660,
    "code-503": 715,
    "no-answer": 770,
    "bad-destination": 825,
    "media": 935,
    "declined": 990,
    "no-verdict": 1045,
    "unsupported": 1100,
    "class-5xx": 1155,
    "default": 1210,
    "bot-failed": 1265,
    "operator": 1320,
}
"""Hz, by the name of the prompt."""

PROMPT_SECONDS = 0.6

FALLBACK = {
    "486": "code-486",
    "503": "code-503",
    "no_answer": "no-answer",
    "bad_destination": "bad-destination",
    "media_incompatible": "media",
    "declined": "declined",
    "no_verdict": "no-verdict",
    "method_unsupported": "unsupported",
    "5xx": "class-5xx",
    "default": "default",
}
"""Which prompt follows which failure, by the keys of a fallback table."""

HASTY = "127.0.0.10"
"""Of a trunk that dials in as the carrier does, and whose REFERs are soon given up."""

PATIENT = "127.0.0.11"
"""Of another one, that may take its time to follow its BYE with a NOTIFY."""

REFER_TIMERS = {"response": 10, "first_notify": 10, "final_notify": 12, "bye_grace": 0.4}
HASTY_TIMERS = {"response": 3, "first_notify": 2, "final_notify": 3, "bye_grace": 0.4}
PATIENT_TIMERS = {**REFER_TIMERS, "bye_grace": 10}
"""Seconds. A timer that a test waits for is short, and one that must not fire is long."""

REFERRED_TO = "sip:+493012345@127.0.0.77"
"""Where the external target is: nobody is there, the trunk only pretends."""

ANSWER_LIMIT = 8
"""Seconds that an agent may ring."""

BACKLOG = 10
"""Seconds of a bot's audio that wait to be played."""

HANDBACK_HEADERS = {"X-Next": "billing", "User-to-User": "c0ffee;encoding=hex"}


@dataclass(frozen=True)
class World:
    """Addresses, ports and files of one gateway."""

    folder: Path
    transport: str = "udp"
    settings: dict[str, Any] = field(default_factory=dict)
    """Merged over the generated settings, mapping by mapping."""
    flows: tuple[dict[str, Any], ...] = ()
    """Flows of the test's own, beside the usual ones."""
    numbers: dict[str, str] = field(default_factory=dict)
    """Which of them answers which number, beside `NUMBERS`."""
    port: int = field(default_factory=lambda: network.free_port(GATEWAY))
    carrier_port: int = field(default_factory=lambda: network.free_port(CARRIER))
    pbx_port: int = field(default_factory=lambda: network.free_port(PBX))
    api_port: int = field(default_factory=lambda: network.free_port(GATEWAY))
    bot_port: int = field(default_factory=lambda: network.free_port(GATEWAY))
    rtp: tuple[int, int] = field(default_factory=lambda: network.free_udp_range(GATEWAY, RTP_PORTS))

    @classmethod
    def answering(cls, folder: Path, flows: Mapping[str, dict[str, Any]], **settings: Any) -> Self:
        """The world with these flows, by the number that each of them answers."""
        numbers = {number: flow["flow"] for number, flow in flows.items()}
        return cls(folder, settings=settings, flows=tuple(flows.values()), numbers=numbers)

    @property
    def configuration(self) -> Path:
        """The settings file."""
        return self.folder / "switchhook.yaml"

    @property
    def api(self) -> str:
        """Base URL of the control API."""
        return f"http://{GATEWAY}:{self.api_port}"

    @property
    def address(self) -> tuple[str, int]:
        """Where the gateway takes SIP."""
        return GATEWAY, self.port

    def number(self, dialled: str) -> str:
        """The URI of a number at the gateway."""
        return f"sip:{dialled}@{GATEWAY}:{self.port}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return ";transport=tcp" if self.transport == "tcp" else ""

    def write(self) -> None:
        """Write settings, flows and prompts."""
        flows = self.folder / "flows"
        flows.mkdir(parents=True)
        for name, hertz in PROMPTS.items():
            pcm = tone(hertz, PROMPT_SECONDS)
            with soundfile.SoundFile(flows / f"{name}.wav", "w", pcm.rate, 1, "PCM_16") as wav:
                wav.buffer_write(pcm.samples, "int16")
        for flow in (*_flows(), *self.flows):
            (flows / f"{flow['flow']}.yaml").write_text(_yaml(flow))
        self.configuration.write_text(_yaml(_merged(self._settings(), self.settings)))

    def _settings(self) -> dict[str, Any]:
        routes = [
            {"number": number, "flow": flow} for number, flow in {**NUMBERS, **self.numbers}.items()
        ]
        pbx = f"@{PBX}:{self.pbx_port}{self._suffix}"
        listen = {"transport": self.transport, "address": GATEWAY, "port": self.port}
        return {
            "sip": {
                "listen": [listen],
                "rtp": {
                    "address": GATEWAY,
                    "first_port": self.rtp[0],
                    "last_port": self.rtp[1],
                },
                "max_calls": MAX_CALLS,
            },
            "trunks": {
                "carrier": {
                    "sources": [f"{CARRIER}/32"],
                    "proxy": f"sip:{CARRIER}:{self.carrier_port}{self._suffix}",
                    "refer": REFER_TIMERS,
                    "routes": routes,
                },
                "hasty": {"sources": [f"{HASTY}/32"], "refer": HASTY_TIMERS, "routes": routes},
                "patient": {
                    "sources": [f"{PATIENT}/32"],
                    "refer": PATIENT_TIMERS,
                    "routes": routes,
                },
                "pbx": {
                    "sources": [f"{PBX}/32"],
                    "proxy": f"sip:{PBX}:{self.pbx_port}{self._suffix}",
                    "refer": REFER_TIMERS,
                },
            },
            "targets": {
                "sales": {"kind": "internal", "destination": f"sip:sales{pbx}", "trunk": "pbx"},
                "support": {
                    "kind": "internal",
                    "destination": f"sip:support{pbx}",
                    "trunk": "pbx",
                },
                "outside": {"kind": "external", "destination": REFERRED_TO},
                "number": {
                    "kind": "external",
                    "destination": "+493012345",
                    "trunk": "carrier",
                    "method": "invite",
                },
            },
            "bots": {
                "assistant": {
                    "url": f"ws://{GATEWAY}:{self.bot_port}",
                    "connect_timeout": 10,
                    "backlog": BACKLOG,
                }
            },
            "api": {"address": GATEWAY, "port": self.api_port},
            "drain": 10,
        }


NUMBERS = {
    "100": "conversation",
    "200": "dial",
    "300": "refer",
    "400": "handback",
    "500": "second",
    "610": "announced",
}
"""Which flow answers which number."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """The gateway's YAML knows no anchors."""
        return True


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}


def sound_of(name: str) -> str:
    """What a softphone reports when it hears the prompt of this name."""
    return tone_name(PROMPTS[name])


def prompt(name: str) -> dict[str, str]:
    """The prompt of this name, as a flow refers to it."""
    return {"file": f"{name}.wav"}


def fallback_table() -> dict[str, Any]:
    """A prompt of its own for each failure, then the end."""
    return {key: {"prompt": prompt(name), "end": True} for key, name in FALLBACK.items()}


def transfer_node(**node: Any) -> dict[str, Any]:
    """An `agent_transfer` node with the usual fallback."""
    return {"type": "agent_transfer", "fallback": fallback_table(), **node}


def _flows() -> list[dict[str, Any]]:
    goodbye = {"type": "hangup", "prompt": prompt("goodbye"), "headers": {"X-End": "goodbye"}}
    return [
        {
            # A caller talks to a bot, which decides.
            "flow": "conversation",
            "start": "talk",
            "transfer_node": "hand_over",
            "entries": ["goodbye"],
            "nodes": {
                "talk": {
                    "type": "bot",
                    "bot": "assistant",
                    "transfer": {"billing": "hand_back", "default": "hand_over"},
                    "done": "goodbye",
                    "error": "bot_failed",
                },
                "hand_over": {
                    "type": "agent_transfer",
                    "accepted_message": prompt("accepted"),
                    "timeout": ANSWER_LIMIT,
                    # Back to the bot, which learns from its `start` what became of it.
                    "fallback": {
                        "486": {"prompt": prompt("code-486"), "node": "talk"},
                        "default": {"prompt": prompt("default"), "node": "talk"},
                    },
                    "next": "talk",
                },
                "hand_back": transfer_node(
                    target="outside", method="bye", headers=HANDBACK_HEADERS
                ),
                "bot_failed": {"type": "hangup", "prompt": prompt("bot-failed")},
                "goodbye": goodbye,
            },
        },
        {
            # Straight to an agent; every failure has its own prompt.
            "flow": "dial",
            "start": "to_sales",
            "nodes": {
                "to_sales": transfer_node(target="sales", timeout=ANSWER_LIMIT, next="goodbye"),
                "goodbye": goodbye,
            },
        },
        {
            # The trunk is asked to take the call elsewhere.
            "flow": "refer",
            "start": "to_outside",
            "nodes": {"to_outside": transfer_node(target="outside", method="refer")},
        },
        {
            # The same, with words before it and music until the verdict.
            "flow": "announced",
            "start": "to_outside",
            "nodes": {
                "to_outside": transfer_node(
                    target="outside",
                    method="refer",
                    accepted_message=prompt("accepted"),
                    waiting="music",
                )
            },
        },
        {
            # The call is given back to the trunk with BYE.
            "flow": "handback",
            "start": "greet",
            "nodes": {
                "greet": {"type": "play", "prompt": prompt("welcome"), "next": "back"},
                "back": transfer_node(target="outside", method="bye", headers=HANDBACK_HEADERS),
            },
        },
        {
            # The first agent is busy: words, then the second one.
            "flow": "second",
            "start": "first",
            "nodes": {
                "first": {
                    "type": "agent_transfer",
                    "target": "sales",
                    "accepted_message": prompt("accepted"),
                    "timeout": ANSWER_LIMIT,
                    "fallback": {
                        "busy": {"prompt": prompt("code-486"), "node": "next_one"},
                        "default": {"prompt": prompt("default"), "end": True},
                    },
                },
                "next_one": {
                    "type": "agent_transfer",
                    "target": "support",
                    "timeout": ANSWER_LIMIT,
                    "headers": {"X-Queue": "support"},
                    "waiting": "music",
                    "fallback": {"default": {"prompt": prompt("default"), "end": True}},
                    "next": "goodbye",
                },
                "goodbye": goodbye,
            },
        },
    ]
