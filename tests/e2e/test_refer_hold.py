"""A REFER among re-INVITEs: glare, hold, the caller's audio (RFC 3261 section 14, RFC 3264 8.4).

Many PBXs hold the party that they refer. What the caller hears is taken from the RTP itself.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile

from sip.faulty.peer import FaultyPeer
from sip.faulty.steps import Behaviour, Notify, Offer, Reply
from sip.softphone.tones import SILENCE, Heard, analyse
from tests.e2e.conftest import StartPeer
from tests.e2e.process import Api
from tests.e2e.referring import TARGET, referred, verdict
from tests.e2e.world import CARRIER, PROMPTS, World, sound_of
from tests.peers import network
from tests.peers.caller import Caller
from tests.peers.rtp import RtpSocket
from tests.peers.script import audio_at

ENDED = "terminated;reason=noresource"
BUSY = "SIP/2.0 486 Busy Here"
RTP_HEADER = 12


def sent(attempt: dict[str, Any], method: str) -> int:
    """How many requests of this method left, repeated ones counted once."""
    rows = [row for row in attempt["record"]["timeline"] if row["name"] == "sip.message"]
    return len(
        {
            row["text"]
            for row in rows
            if row["direction"] == "sent" and row["text"].startswith(f"{method} ")
        }
    )


class TestGlare:
    """RFC 3261 section 14.1: 491 says that an INVITE of the peer's is under way."""

    async def test_a_refer_refused_with_491_is_sent_again(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("491 once").answers_refer(491, "Request Pending").is_referred(TARGET)
        script.accepts().notifies("SIP/2.0 200 OK", ENDED).is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], sent(attempt, "REFER")) == ("connected", 2)

    async def test_and_after_three_more_it_has_failed(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("491 always").answers_refer(491, "Request Pending")
        for _ in range(3):
            script.is_referred(TARGET).answers_refer(491, "Request Pending")
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], attempt["code"]) == ("glare", 491)
        assert (sent(attempt, "REFER"), attempt["record"]["end"]) == (4, "fallback")

    async def test_a_caller_who_leaves_meanwhile_is_not_referred_again(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """It may be before, if it leaves later than the wait, which is chosen at random, takes."""
        script = referred("491 and bye").answers_refer(491, "Request Pending").hangs_up()
        attempt = await verdict(script, world, peer, api)
        assert attempt["outcome"] == "abandoned"
        rows = [row for row in attempt["record"]["timeline"] if row["name"] == "sip.message"]
        requests = [(row["direction"], row["text"].split()[0]) for row in rows]
        assert ("sent", "REFER") not in requests[requests.index(("received", "BYE")) :]

    async def test_a_hold_that_crosses_the_refer_is_answered_and_the_refer_lives(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """A REFER is no INVITE: the two do not exclude each other."""
        script = referred("crosses").holds().accepts().notifies("SIP/2.0 200 OK", ENDED)
        attempt = await verdict(script.is_hung_up_on(), world, peer, api)
        assert attempt["outcome"] == "connected"

    async def test_both_sides_resume_at_once(self, world: World, peer: StartPeer, api: Api) -> None:
        """491 both ways; the side that does not own the Call-ID asks again first."""
        script = referred("resumes as we do").accepts().holds().notifies(BUSY, ENDED)
        script.receives_offer().offers("sendrecv").is_refused_offer(491)
        script.answers_offer(491, "Request Pending").receives("ACK")
        attempt = await verdict(script.is_offered().is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], sent(attempt, "INVITE")) == ("busy", 2)
        assert attempt["record"]["end"] == "fallback"


class TestTheHoldIsUndone:
    """After a failure the caller is ours again, and must hear us."""

    async def test_a_peer_that_resumes_by_itself_is_left_to_it(
        self, world: World, api: Api
    ) -> None:
        """Its re-INVITE comes right behind the NOTIFY, and does not wait for an answer to it."""
        refer = (Reply(202), Offer(), Notify(BUSY, ENDED, answered=False), Offer("sendrecv"))
        async with FaultyPeer(CARRIER) as carrier:
            call = await carrier.call(world.number("300"), Behaviour(refer=refer))
            await call.finished(network.PATIENCE)
        record = await api.record()
        attempt = {**record["attempts"][0], "record": record}
        assert (attempt["outcome"], sent(attempt, "INVITE")) == ("busy", 0)
        assert [each["held"] for each in record["timeline"] if each["name"] == "leg.hold"] == [
            True,
            False,
        ]

    async def test_a_peer_that_holds_on_is_offered_audio_once(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        """It means it: the flow goes on."""
        script = referred("holds on").accepts().holds().notifies(BUSY, ENDED)
        attempt = await verdict(script.is_offered("sendonly").is_hung_up_on(), world, peer, api)
        assert (attempt["outcome"], sent(attempt, "INVITE")) == ("busy", 1)
        assert attempt["record"]["end"] == "fallback"
        assert not [row for row in attempt["record"]["timeline"] if "m=text" in row.get("text", "")]

    async def test_after_a_success_nothing_is_offered(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        script = referred("is connected on hold").accepts().holds("inactive")
        script.notifies("SIP/2.0 200 OK", ENDED).is_hung_up_on()
        attempt = await verdict(script, world, peer, api)
        assert (attempt["outcome"], sent(attempt, "INVITE")) == ("connected", 0)

    async def test_the_caller_hears_the_words_for_the_failure(
        self, world: World, peer: StartPeer, api: Api
    ) -> None:
        async with RtpSocket(CARRIER) as rtp:
            script = listens("held", rtp).accepts().talks(0.3).holds().talks(0.3)
            script.notifies(BUSY, ENDED).is_offered().is_hung_up_on()
            await verdict(script, world, peer, api)
            heard = what_came(rtp)
        assert heard.seconds_of(PROMPTS["code-486"]) > 0.5, heard


class TestTheCallerIsNeverInSilence:
    """Announcement, waiting sound and words follow each other without a gap."""

    async def test_between_refer_and_verdict(self, world: World, peer: StartPeer, api: Api) -> None:
        async with RtpSocket(CARRIER) as rtp:
            script = listens("listens", rtp).accepts().talks(1)
            script.notifies("SIP/2.0 180 Ringing").talks(1)
            script.notifies("SIP/2.0 603 Decline", ENDED).is_hung_up_on()
            await verdict(script, world, peer, api, number="610")
            heard = what_came(rtp)
        first, last = sound_of("accepted"), sound_of("declined")
        sounds = [span.sound for span in heard.spans]
        spans = heard.spans[sounds.index(first) : sounds.index(last) + 1]
        assert sum(span.seconds for span in spans if span.sound == "sound") > 1.0, heard
        assert max((s.seconds for s in spans if s.sound == SILENCE), default=0) < 0.15, heard


def listens(name: str, rtp: RtpSocket) -> Caller:
    """A caller whose audio goes to `rtp`, and who is referred."""
    script = Caller(name).dials(sdp=audio_at(rtp.port)).is_answered()
    return script.is_referred(TARGET)


def what_came(rtp: RtpSocket) -> Heard:
    """Everything that was sent to the caller, as one recording."""
    payload = b"".join(packet[RTP_HEADER:] for packet in rtp.received if packet[1] & 0x7F == 0)
    samples, rate = soundfile.read(
        io.BytesIO(payload), format="RAW", subtype="ULAW", samplerate=8000, channels=1
    )
    return analyse(np.asarray(samples, dtype=np.float64), rate)
