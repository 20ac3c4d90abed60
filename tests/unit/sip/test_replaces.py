"""Which dialog an INVITE with Replaces takes the place of (RFC 3891 section 3)."""

from __future__ import annotations

import pytest

from sip.message import Message
from sip.transfer.replaces import (
    Candidate,
    Progress,
    Replaces,
    ReplacesRefused,
    judge,
    parse_replaces,
    replaces_of,
)

WANTED = Replaces("1@h", to_tag="ours", from_tag="theirs")


def invite(*lines: str) -> Message:
    return Message("\r\n".join(["INVITE sip:us@10.0.0.1 SIP/2.0", *lines, "", ""]))


def dialog(progress: Progress = Progress.ANSWERED, trunk: str = "pbx") -> Candidate:
    return Candidate("ours", "theirs", trunk, progress)


def refusal(wanted: Replaces, *candidates: Candidate) -> int:
    with pytest.raises(ReplacesRefused) as refused:
        judge(wanted, "pbx", candidates)
    return refused.value.code


@pytest.mark.parametrize(
    ("value", "replaces"),
    [
        ("1@h;to-tag=ours;from-tag=theirs", WANTED),
        ("1@h ; from-tag=theirs ; to-tag=ours", WANTED),
        ("1@h;to-tag=ours;from-tag=theirs;early-only", Replaces("1@h", "ours", "theirs", True)),
        ("1@h;to-tag=ours", None),
        (";to-tag=ours;from-tag=theirs", None),
        ("1@h;to-tag=ours;to-tag=two;from-tag=theirs", None),
    ],
)
def test_the_header_is_read(value: str, replaces: Replaces | None) -> None:
    assert parse_replaces(value) == replaces
    if replaces is not None:
        assert parse_replaces(str(replaces)) == replaces


def test_an_invite_without_it_replaces_nothing() -> None:
    assert replaces_of(invite("To: <sip:us@10.0.0.1>")) is None


@pytest.mark.parametrize(
    "lines",
    [
        ("Replaces: 1@h;to-tag=a;from-tag=b", "Replaces: 2@h;to-tag=a;from-tag=b"),
        ("Replaces: 1@h;to-tag=a;from-tag=b", "Join: 2@h;to-tag=a;from-tag=b"),
        ("Replaces: 1@h",),
    ],
)
def test_doubled_joined_or_malformed_it_is_a_bad_request(lines: tuple[str, ...]) -> None:
    with pytest.raises(ReplacesRefused) as refused:
        replaces_of(invite(*lines))
    assert refused.value.code == 400


def test_the_dialog_with_both_tags_is_replaced() -> None:
    other = Candidate("ours", "another", "pbx", Progress.ANSWERED)
    assert judge(WANTED, "pbx", [other, dialog()]) == dialog()


def test_a_ringing_dialog_of_ours_can_be_picked_up() -> None:
    early = Replaces("1@h", "ours", "theirs", early_only=True)
    ringing = dialog(Progress.RINGING_THERE)
    assert judge(early, "pbx", [ringing]) == ringing


@pytest.mark.parametrize(
    ("candidate", "code"),
    [
        (Candidate("theirs", "ours", "pbx", Progress.ANSWERED), 481),
        (dialog(Progress.RINGING_HERE), 481),
        (dialog(Progress.ENDED), 603),
        (dialog(Progress.BUSY), 491),
        (dialog(trunk="carrier"), 403),
    ],
)
def test_what_is_not_replaced(candidate: Candidate, code: int) -> None:
    assert refusal(WANTED, candidate) == code


def test_no_dialog_at_all_is_481() -> None:
    assert refusal(WANTED) == 481


def test_early_only_leaves_an_answered_dialog_alone() -> None:
    assert refusal(Replaces("1@h", "ours", "theirs", early_only=True), dialog()) == 486
