"""The five calls of the demo. Each one plays, then what its caller was promised is checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.api.models import EndedCall, TimelineEvent
from gateway.demo import bot
from gateway.demo.evidence import FLOW, Evidence
from gateway.demo.promises import Promises
from gateway.demo.stage import CALLER_TONE, STEP_LIMIT, Call, Stage
from ivr.disposition import Disposition
from sip.events import DtmfReceived
from sip.outcome import Method, Outcome
from sip.softphone.commands import HangUp

SECOND_AGENT_TONE = 880
EXPERT_TONE = 660

RING = 0.8
"""Seconds that an agent's telephone rings."""

CONSIDERING = 1.2
"""Seconds of the menu that the caller listens to before pressing a key."""

TALK = 2.0
"""Seconds that caller and agent talk."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scene that is over: the call's record and timeline."""

    call: EndedCall
    timeline: list[TimelineEvent]
    pressed: list[str]
    """The keys that the caller pressed."""


async def contained(stage: Stage, promises: Promises) -> Played:
    """The bot does it alone."""
    call = await _reach_bot(stage, "1-contained")
    await call.press("9")
    bye = await call.ended()
    played = Played(*await call.record(), call.pressed)
    caller = Evidence(promises, stage, call.recording)
    caller.heard_prompt("the flow's greeting", "greeting")
    await caller.heard_bot("the bot's first words", bot.GREETING, within=CONSIDERING)
    await caller.heard_bot("the bot's goodbye, to its end", bot.GOODBYE)
    promises.check("then the gateway hung up", kept=bye["by"] == "peer")
    _ends(promises, played, Disposition.CONTAINED)
    return played


async def busy_agent(stage: Stage, promises: Promises) -> Played:
    """INVITE to an agent who is busy; the flow's words; INVITE to a second one, who answers."""
    await stage.instruct("billing", ring=RING, answer=486, reason="Busy Here")
    at_agent = stage.folder / "2-busy-agent-at-the-second-agent.wav"
    second = await stage.instruct("second_line", ring=RING, tone=SECOND_AGENT_TONE, record=at_agent)
    call = await _reach_bot(stage, "2-busy-agent")
    await call.press("1")
    decided = await call.event("bot.disconnected")
    refused = await call.event("transfer.ended")
    error_prompt = await call.event("prompt.started")
    await call.event("transfer.joined")
    incoming = await second.expect("incoming", within=STEP_LIMIT)
    await asyncio.sleep(TALK)
    await second.send(HangUp(call=incoming.call))
    await second.expect("recorded", incoming.call, within=STEP_LIMIT)
    await call.ended()
    played = Played(*await call.record(), call.pressed)
    caller = Evidence(promises, stage, call.recording)
    caller.heard_prompt("what comes next", "to_billing")
    caller.never_silent("from the decision to the verdict", played.timeline, decided, refused)
    _attempt(promises, played, 0, (Method.INVITE, "billing", Outcome.BUSY, 486))
    late = error_prompt.offset_ms - refused.offset_ms
    caller.heard_prompt(f"the error prompt, begun {late} ms after the 486", "to_billing", "486")
    _attempt(promises, played, 1, (Method.INVITE, "second_line", Outcome.CONNECTED, 200))
    caller.heard_tone("the second agent", SECOND_AGENT_TONE, TALK)
    Evidence(promises, stage, at_agent, "the agent").heard_tone("the caller", CALLER_TONE, TALK)
    caller.heard_prompt("the flow's goodbye after the agent had left", "goodbye")
    _ends(promises, played, Disposition.TRANSFERRED)
    return played


async def refer(stage: Stage, promises: Promises) -> Played:
    """REFER: the trunk dials the expert itself, and its NOTIFYs tell the gateway."""
    at_expert = stage.folder / "3-refer-at-the-expert.wav"
    expert = await stage.instruct("expert", ring=RING, tone=EXPERT_TONE, record=at_expert)
    call = await _reach_bot(stage, "3-refer")
    await call.press("2")
    asked = await stage.caller.expect("refer", call.name, within=STEP_LIMIT)
    incoming = await expert.expect("incoming", within=STEP_LIMIT)
    await call.event("transfer.ended")
    await asyncio.sleep(TALK)
    await call.ended()
    await expert.send(HangUp(call=incoming.call))
    await expert.expect("recorded", incoming.call, within=STEP_LIMIT)
    referred = f"{call.name}-referred"
    await stage.caller.expect("recorded", referred, within=STEP_LIMIT)
    played = Played(*await call.record(), call.pressed)
    notified = [n["sipfrag"] for n in stage.caller.seen("notify", call.name, direction="sent")]
    promises.check(
        "the trunk was asked to dial the expert",
        kept="+493012345@" in asked["to"],
        seen=f"Refer-To: {asked['to']}",
    )
    promises.check(
        "its NOTIFYs ended with 200",
        kept=bool(notified) and notified[-1].startswith("SIP/2.0 200"),
        seen=", ".join(line.removeprefix("SIP/2.0 ") for line in notified),
    )
    _attempt(promises, played, 0, (Method.REFER, "expert", Outcome.CONNECTED, 200))
    onward = call.recording.with_name(f"{call.recording.stem}-referred.wav")
    caller = Evidence(promises, stage, onward)
    caller.heard_tone("the expert, past the gateway", EXPERT_TONE, TALK)
    Evidence(promises, stage, at_expert, "the expert").heard_tone("the caller", CALLER_TONE, TALK)
    _ends(promises, played, Disposition.TRANSFERRED)
    return played


async def failed_refer(stage: Stage, promises: Promises) -> Played:
    """REFER: whom the trunk dials answers 503; the call is kept, and the bot told."""
    await stage.instruct("partner", ring=RING, answer=503, reason="Service Unavailable")
    call = await _reach_bot(stage, "4-failed-refer")
    await call.press("3")
    await call.event("transfer.ended")
    await call.event("bot.connected")
    sorry = bot.after_transfer({"status": "error", "outcome": "server_unavailable"} | _PARTNER)
    await asyncio.sleep(SORRY)
    await call.press("9")
    bye = await call.ended()
    played = Played(*await call.record(), call.pressed)
    caller = Evidence(promises, stage, call.recording)
    _attempt(promises, played, 0, (Method.REFER, "partner", Outcome.SERVER_UNAVAILABLE, 503))
    caller.heard_prompt("the words of the fallback", "to_anyone", "default")
    promises.check(
        "the flow went on at the fallback's node, and back to the bot",
        kept=played.call.path[-4:] == ["to_anyone", "how_was_it", "back_to_assistant", "assistant"],
        seen=" > ".join(played.call.path),
    )
    await caller.heard_bot("the bot, which knew why", sorry, within=SORRY)
    await caller.heard_bot("the bot's goodbye", bot.GOODBYE)
    promises.check("the call was the same one throughout", kept=bye["by"] == "peer")
    _ends(promises, played, Disposition.FAILED)
    return played


async def hand_back(stage: Stage, promises: Promises) -> Played:
    """BYE: the call goes back to where it came from, with headers that say why."""
    call = await _reach_bot(stage, "5-hand-back")
    await call.press("4")
    bye = await call.ended()
    played = Played(*await call.record(), call.pressed)
    caller = Evidence(promises, stage, call.recording)
    caller.heard_prompt("that it is connected", "to_anyone")
    for name, value in {**bot.CONTEXT, "X-Came-From": FLOW}.items():
        promises.check(
            f"the BYE carried {name}: {value}",
            kept=bye.headers.get(name) == value,
            seen=bye.headers.get(name, "absent"),
        )
    _attempt(promises, played, 0, (Method.BYE, "ivr", Outcome.CONNECTED, 200))
    _ends(promises, played, Disposition.HANDED_BACK)
    return played


Scene = Callable[[Stage, Promises], Awaitable[Played]]

SCENES: dict[str, Scene] = {
    "1. A contained call": contained,
    "2. INVITE: a busy agent, then the second one": busy_agent,
    "3. REFER: the trunk dials, NOTIFY says 200": refer,
    "4. REFER that ends in 503: the fallback": failed_refer,
    "5. BYE: handed back with headers": hand_back,
}

SORRY = 2.5
"""Seconds of the bot's apology that the caller listens to."""
_PARTNER = {"target": "partner"}


async def _reach_bot(stage: Stage, name: str) -> Call:
    """Call the gateway, and listen to the bot's menu for a moment."""
    call = await stage.call(name)
    await call.event("bot.connected")
    await asyncio.sleep(CONSIDERING)
    return call


def _attempt(
    promises: Promises, played: Played, number: int, expected: tuple[Method, str, Outcome, int]
) -> None:
    method, target, outcome, code = expected
    seen = [(a.method, a.target, a.outcome, a.code) for a in played.call.attempts]
    promises.check(
        f"{method.value.upper()} to {target}: {outcome.value}, {code}",
        kept=len(seen) > number and seen[number] == expected,
        seen=f"verdict after {played.call.attempts[number].verdict_ms} ms"
        if len(seen) > number
        else "no such attempt",
    )


def _ends(promises: Promises, played: Played, expected: Disposition) -> None:
    understood = [
        (row.model_extra or {}).get("digit")
        for row in played.timeline
        if row.name == DtmfReceived.name
    ]
    promises.check(
        f"every key was understood once, over the caller's {CALLER_TONE} Hz",
        kept=understood == played.pressed,
        seen=" ".join(map(str, understood)),
    )
    promises.check(
        f"the record says {expected.value}",
        kept=played.call.disposition is expected,
        seen=f"{played.call.disposition.value}, end: {played.call.end.value}",
    )
