"""One target in every order of events: one verdict, and nobody's telephone left ringing.

The legs are in memory; the property is that of transfers.md: whatever caller, target, bot and
timers do at once, an attempt has one terminal outcome, and a leg that is not joined is released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.targets import Reach, Target
from config.trunks import Trunk
from sip.audio import Pcm
from sip.errors import DestinationBlocked, UnresolvedHost
from sip.events import Event, TransferEnded
from sip.leg import Leg
from sip.message import Message
from sip.offer import Offer
from sip.order import Acceptance, TransferOrder, Withdrawal
from sip.outcome import Attempt, Method, Outcome, Side
from sip.transfer.evidence import Evidence
from sip.transfer.ringing import Ringing
from tests.unit.sip.party import Info, Party

TARGET = Target(kind=Reach.INTERNAL, destination="sip:sales@10.0.0.8")
PROMPT = Pcm(b"", 8000)
WIDE = Offer.first(Trunk(sources=["10.0.0.0/24"], codecs=["opus", "PCMU"]))  # type: ignore[list-item]


class Scene:
    """A caller, and whoever is dialled for it."""

    def __init__(self, *, accept: bool = False, timeout: float = 60.0, claims: bool = True) -> None:
        self.caller = Party("caller")
        self.dialled: list[Party] = []
        self.contacts: list[str] = []
        self.ended: list[Attempt] = []
        self.resolved = asyncio.Event()
        self.failure: Exception | None = None
        question = Acceptance(PROMPT, "1", timeout, 1) if accept else None
        self.order = TransferOrder(
            "t1", "sales", TARGET, Method.INVITE, timeout, accept=question, claim=lambda: claims
        )
        evidence = Evidence(self.order, TARGET.destination, self._note)
        caller = cast(Leg, self.caller)
        dial = cast(Any, self._dial)
        self.reached = asyncio.create_task(Ringing(caller, self.order, dial, evidence).reach())

    @property
    def target(self) -> Party:
        return self.dialled[-1]

    async def settles(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)

    async def _dial(self, contact: str, offer: Offer | None) -> Party:
        await self.resolved.wait()
        self.contacts.append(contact)
        if self.failure is not None:
            raise self.failure
        party = Party(f"agent-{len(self.dialled) + 1}", info=Info(offer or WIDE))
        self.dialled.append(party)
        return party

    def _note(self, event: Event) -> None:
        if isinstance(event, TransferEnded):
            self.ended.append(event.attempt)

    # What can happen, at any time

    def happen(self, what: str) -> None:
        parties = self.dialled[-1:]
        match what:
            case "resolved":
                self.resolved.set()
            case "caller leaves":
                self.caller.ends()
            case "withdrawn":
                self.order.withdraw(Withdrawal.CANCELLED)
            case "cancelled":
                self.reached.cancel()
            case "step":
                pass
            case _:
                for party in parties:
                    _HAPPENS[what](party)


_HAPPENS: dict[str, Callable[[Party], None]] = {
    "answers": Party.answers,
    "answers deaf": Party.answers_deaf,
    "refuses": Party.refuses,
    "refuses the offer": lambda party: party.refuses(488),
    "redirects": lambda party: party.refuses(302, "Contact: <sip:a@h>, <sip:b@h>"),
    "hangs up": Party.hangs_up,
    "accepts": lambda party: party.presses("1"),
    "declines": lambda party: party.presses("2"),
}
EVERYTHING = [*_HAPPENS, "resolved", "caller leaves", "withdrawn", "cancelled", "step"]


@given(st.booleans(), st.booleans(), st.lists(st.sampled_from(EVERYTHING), max_size=14))
def test_one_verdict_and_nobody_left_ringing(
    accept: bool, claims: bool, happens: list[str]
) -> None:
    async def play() -> None:
        scene = Scene(accept=accept, claims=claims)
        await asyncio.sleep(0)  # cancelled before its first step it is no attempt
        for what in happens:
            scene.happen(what)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await scene.settles()
        if not scene.reached.done():
            scene.order.withdraw(Withdrawal.CANCELLED)
            await scene.settles()
        (reached,) = await asyncio.gather(scene.reached, return_exceptions=True)
        if isinstance(reached, Party):
            assert not scene.ended, "joined later: its verdict comes then"
            assert reached.dialog.answered
            assert reached.released == 0
            others = [party for party in scene.dialled if party is not reached]
        else:
            assert len(scene.ended) == 1
            others = scene.dialled
        assert all(party.gone for party in others), happens
        offers = [party.info.offer for party in scene.dialled]
        narrow = [offer for offer in offers if offer is not None and offer.again]
        assert len(narrow) <= 1 or len(set(scene.contacts)) > 1

    asyncio.run(play())


async def test_an_agent_who_says_bye_before_it_answers_has_declined() -> None:
    scene = Scene()
    await scene.settles()
    scene.resolved.set()
    await scene.settles()
    scene.target.dialog.wire.bye_received = Message("BYE sip:x SIP/2.0\r\nCSeq: 1 BYE\r\n\r\n")
    scene.target.ends()
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert (attempt.outcome, attempt.bye_by) == (Outcome.DECLINED, Side.TARGET)


async def test_a_caller_whose_leg_we_end_has_not_hung_up() -> None:
    """At our stop, or where its session timer expires."""
    scene = Scene()
    await scene.settles()
    scene.resolved.set()
    await scene.settles()
    scene.caller.ends(Side.GATEWAY)
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert (attempt.outcome, attempt.bye_by) == (Outcome.CANCELLED, Side.GATEWAY)
    assert attempt.reason == "the gateway ended the call"


async def test_a_caller_who_leaves_while_the_host_is_looked_up_rings_nobody() -> None:
    scene = Scene()
    await scene.settles()
    scene.caller.ends()
    await scene.settles()
    scene.resolved.set()
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert attempt.outcome is Outcome.ABANDONED
    assert scene.dialled == []


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (DestinationBlocked("not allowed"), Outcome.BLOCKED),
        (UnresolvedHost("no address"), Outcome.NETWORK_FAILURE),
    ],
)
async def test_what_cannot_be_dialled_has_its_outcome(failure: Exception, outcome: Outcome) -> None:
    scene = Scene()
    scene.failure = failure
    scene.resolved.set()
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert attempt.outcome is outcome


async def test_a_redirection_is_followed_contact_by_contact() -> None:
    """RFC 3261 section 8.1.3.4."""
    scene = Scene()
    scene.resolved.set()
    await scene.settles()
    scene.target.refuses(302, "Contact: <sip:a@h>;q=0.3, <sip:b@h>;q=0.8")
    await scene.settles()
    scene.target.refuses(480)
    await scene.settles()
    scene.target.answers()
    reached: object = await scene.reached
    assert reached is scene.target
    assert scene.contacts == ["", "sip:b@h", "sip:a@h"]


async def test_who_refuses_everywhere_ends_the_search() -> None:
    """RFC 3261 section 21.6: a 6xx speaks for every place."""
    scene = Scene()
    scene.resolved.set()
    await scene.settles()
    scene.target.refuses(302, "Contact: <sip:a@h>, <sip:b@h>")
    await scene.settles()
    scene.target.refuses(603)
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert (attempt.outcome, attempt.code) == (Outcome.DECLINED, 603)
    assert scene.contacts == ["", "sip:a@h"]


async def test_an_agent_beaten_by_another_is_released() -> None:
    scene = Scene(claims=False)
    scene.resolved.set()
    await scene.settles()
    scene.target.answers()
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert (attempt.outcome, attempt.reason) == (Outcome.CANCELLED, "answered elsewhere")
    assert scene.target.released == 1


async def test_no_key_is_no_agent() -> None:
    scene = Scene(accept=True, timeout=0.01)
    scene.resolved.set()
    await scene.settles()
    scene.target.answers()
    attempt = await scene.reached
    assert isinstance(attempt, Attempt)
    assert (attempt.outcome, attempt.timer) == (Outcome.DECLINED, "accept")


class TestAnOfferThatIsRefused:
    """RFC 3261 section 21.4.26."""

    async def test_is_followed_by_a_narrow_one_to_the_same_place(self) -> None:
        scene = Scene()
        scene.resolved.set()
        await scene.settles()
        scene.target.refuses(302, "Contact: <sip:a@h>")
        await scene.settles()
        scene.target.refuses(488)
        await scene.settles()
        scene.target.answers()
        assert await scene.reached is cast(Any, scene.target)
        assert scene.contacts == ["", "sip:a@h", "sip:a@h"]
        assert [str(party.info.offer) for party in scene.dialled] == [
            "opus PCMU, 20 ms",
            "opus PCMU, 20 ms",
            "PCMU, 20 ms",
        ]

    async def test_is_followed_by_no_third_one(self) -> None:
        scene = Scene()
        scene.resolved.set()
        await scene.settles()
        for code in (488, 606):
            scene.target.refuses(code)
            await scene.settles()
        attempt = await scene.reached
        assert isinstance(attempt, Attempt)
        assert (attempt.outcome, attempt.code) == (Outcome.MEDIA_INCOMPATIBLE, 606)
        assert [step.what for step in attempt.steps] == [
            "invite_sent",
            "final",
            "offered_again",
            "invite_sent",
            "final",
        ]

    async def test_stands_where_the_second_one_may_not_be_dialled(self) -> None:
        scene = Scene()
        scene.resolved.set()
        await scene.settles()
        scene.failure = DestinationBlocked("too many calls")
        scene.target.refuses(488)
        attempt = await scene.reached
        assert isinstance(attempt, Attempt)
        assert (attempt.outcome, attempt.code) == (Outcome.MEDIA_INCOMPATIBLE, 488)

    async def test_leaves_no_more_time_to_answer(self) -> None:
        scene = Scene(timeout=0.05)
        scene.resolved.set()
        await scene.settles()
        scene.target.refuses(488)
        attempt = await scene.reached
        assert isinstance(attempt, Attempt)
        assert (attempt.outcome, attempt.timer) == (Outcome.NO_ANSWER, "ring")
        assert all(party.gone for party in scene.dialled)
