"""The context packet as headers (RFC 7433, RFC 3261 section 7.3): what travels, and what had no
room."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config.context import Context, Transcript
from config.context_policy import ContextPolicy, Part
from sip.context import user_to_user
from sip.context.rendering import MAX_GIVEN, Rendered, rendered

FULL = Context(
    priority="high",
    skills=["billing", "technical support"],
    language="de",
    tags=["vip", "complaint"],
    information={"order": "4711", "Name": "Zoë Ünal"},
    attributes={"accountId": "77"},
    transcript=Transcript(
        url="https://bots.example.com/t/9", uses=10, expires=datetime(2026, 8, 1, 12, tzinfo=UTC)
    ),
    summary="The caller wants her money back.",
)


def policy(**keys: Any) -> ContextPolicy:
    return ContextPolicy.model_validate(keys)


def render(context: Context = FULL, /, token: str = "", **keys: Any) -> Rendered:
    return rendered(context, policy(**keys), given={}, token=token, token_header="X-Resume")


def pairs(value: str, **keys: Any) -> dict[str, str]:
    (datum,) = user_to_user.read(value, policy(**keys).user_to_user)
    assert datum.text is not None
    return user_to_user.pairs(datum.text)


def losses(result: Rendered) -> list[str]:
    return [loss.field for loss in result.dropped]


class TestHeaders:
    def test_each_part_has_its_header_with_its_case_kept(self) -> None:
        headers = dict(render(user_to_user={"header": "none"}).headers)
        assert headers == {
            "X-Priority": "high",
            "X-Skills": "billing, technical support",
            "X-Language": "de",
            "X-Tags": "vip, complaint",
            "X-Info-order": "4711",
            "X-Info-Name": "Zoë Ünal",
            "X-accountId": "77",
            "X-Transcript": "<https://bots.example.com/t/9>;uses=10;expires=2026-08-01T12:00:00Z",
            "X-Summary": "The caller wants her money back.",
        }

    def test_a_trunk_has_its_own_spelling_and_leaves_parts_out(self) -> None:
        names = {"priority": "X-PRIO", "information": "X-GW-*", "summary": "none"}
        headers = render(headers=names).headers
        assert headers["X-PRIO"] == "high"
        assert headers["X-GW-order"] == "4711"
        assert "X-Summary" not in headers

    def test_beyond_ascii_as_percent(self) -> None:
        assert render(characters="percent").headers["X-Info-Name"] == "Zo%C3%AB %C3%9Cnal"

    def test_a_header_that_was_given_wins(self) -> None:
        result = rendered(FULL, policy(), given={"x-TAGS": "mine"})
        assert result.headers["x-TAGS"] == "mine"
        assert "X-Tags" not in result.headers
        assert losses(result) == ["tags"]

    def test_an_attribute_cannot_take_the_tokens_header(self) -> None:
        forged = Context(attributes={"Resume": "forged"})
        result = render(forged, token="real")
        assert result.headers["X-Resume"] == "real"
        assert losses(result) == ["attributes.Resume"]

    def test_nothing_to_say_is_no_header(self) -> None:
        assert render(Context()) == Rendered({}, ())


class TestUserToUser:
    """RFC 7433 section 4.1."""

    def test_hex_pairs(self) -> None:
        value = render(token="T0k3n").headers["User-to-User"]
        assert value.endswith(";encoding=hex")
        assert pairs(value) == {
            "resume": "T0k3n",
            "priority": "high",
            "skills": "billing,technical support",
            "language": "de",
            "tags": "vip,complaint",
            "order": "4711",
            "Name": "Zoë Ünal",
        }

    def test_what_isdn_asks_for(self) -> None:
        isdn = {"protocol_discriminator": 4, "purpose": "isdn-uui", "content": "isdn-uui"}
        value = render(user_to_user=isdn).headers["User-to-User"]
        assert value.startswith("04")
        assert value.endswith(";purpose=isdn-uui;content=isdn-uui;encoding=hex")
        assert pairs(value, user_to_user=isdn)["priority"] == "high"

    def test_other_spellings(self) -> None:
        for encoding in ("base64", "text"):
            keys = {"header": "X-UUI", "encoding": encoding, "parameter": False}
            value = render(user_to_user=keys).headers["X-UUI"]
            assert "encoding" not in value
            assert pairs(value, user_to_user=keys)["priority"] == "high"

    def test_over_128_octets_the_declared_order_is_dropped(self) -> None:
        wordy = FULL.model_copy(update={"information": {"a": "x" * 60, "b": "y" * 60}})
        result = render(wordy, token="t" * 22)
        told = pairs(result.headers["User-to-User"])
        assert list(told) == ["resume", "priority", "skills", "language", "tags"]
        assert losses(result) == ["user_to_user.information.b", "user_to_user.information.a"]

    def test_information_cannot_take_the_tokens_name(self) -> None:
        forged = Context(information={"resume": "forged"})
        result = render(forged, user_to_user={"parts": ["information", "resume"]}, token="real")
        assert pairs(result.headers["User-to-User"]) == {"resume": "real"}

    def test_what_a_peer_sends(self) -> None:
        read = user_to_user.read
        own = policy().user_to_user
        (datum,) = read("3034373131;encoding=hex;purpose=isdn-uui", own)
        assert (datum.text, datum.purpose) == ("04711", "isdn-uui")
        first, second = read('"a, b; c";encoding=text, 4869', own)
        assert (first.text, second.text) == ("a, b; c", "Hi")
        assert read("zz;encoding=hex", own)[0].text is None
        assert read("ff00;encoding=hex", own)[0].text is None

    @given(st.text())
    def test_nothing_that_a_peer_writes_raises(self, header: str) -> None:
        user_to_user.read(header, policy().user_to_user)

    @given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4))
    def test_pairs_come_back_as_they_went(self, told: dict[str, str]) -> None:
        text = ";".join(user_to_user.pair(*item) for item in told.items())
        assert user_to_user.pairs(text) == told


class TestBudgets:
    def test_the_declared_order_is_dropped_first(self) -> None:
        result = render(max_octets=100, user_to_user={"header": "none"})
        gone = ["summary", "transcript", "attributes.accountId", "information.Name"]
        assert losses(result) == [*gone, "information.order"]
        assert list(result.headers) == ["X-Priority", "X-Skills", "X-Language", "X-Tags"]
        assert {loss.reason for loss in result.dropped} == {"over 100 octets in all"}

    def test_a_trunk_declares_its_own_order(self) -> None:
        result = render(max_octets=250, user_to_user={"header": "none"}, drop=["tags", "skills"])
        assert "X-Summary" not in result.headers  # what is not named goes first
        assert "X-Tags" in result.headers

    def test_the_token_stays(self) -> None:
        result = render(token="t" * 22, max_octets=0)
        assert dict(result.headers) == {"X-Resume": "t" * 22}

    def test_without_a_header_the_token_stays_in_user_to_user(self) -> None:
        result = rendered(FULL, policy(max_octets=0), given={}, token="t" * 22)
        assert pairs(result.headers["User-to-User"])["resume"] == "t" * 22

    def test_a_summary_is_cut_at_a_word(self) -> None:
        context = Context(summary="word " * 100)
        result = render(context, max_line=64)
        assert result.headers["X-Summary"].endswith("word...")
        assert len(f"X-Summary: {result.headers['X-Summary']}\r\n") <= 64
        assert result.dropped[0].reason == "over 64 octets in one line: cut off"

    def test_given_headers_have_a_limit_of_their_own(self) -> None:
        mine = {f"X-{number}": "x" * 900 for number in range(7)}
        result = rendered(FULL, policy(), given=mine)
        assert "X-Priority" in result.headers
        assert losses(result)[:2] == ["headers.X-0", "headers.X-1"]
        assert "X-6" in result.headers

    @settings(max_examples=200)
    @given(
        st.builds(
            Context,
            priority=st.none() | st.sampled_from(["high", "1"]),
            tags=st.lists(st.text("abc é", min_size=1, max_size=30).filter(str.strip), max_size=8),
            information=st.dictionaries(
                st.text("abcX-.", max_size=8).map("k".__add__),
                st.text("ab%é ", max_size=200).map("v".__add__),
                max_size=6,
            ),
            summary=st.none() | st.text("ab é%", max_size=900).map("v".__add__),
        ),
        st.integers(0, 1500),
        st.integers(64, 1000),
        st.sampled_from(["utf-8", "percent"]),
        st.dictionaries(
            st.text("ABC", min_size=1, max_size=4).map("X-".__add__), st.text("ab", max_size=999)
        ),
    )
    def test_no_budget_is_ever_broken_and_no_loss_is_silent(
        self, context: Context, most: int, line: int, characters: str, mine: dict[str, str]
    ) -> None:
        own = policy(max_octets=most, max_line=line, characters=characters)
        result = rendered(context, own, given=mine, token="t" * 22, token_header="X-Resume")
        sizes = {
            name: len(f"{name}: {value}\r\n".encode()) for name, value in result.headers.items()
        }
        token = sizes.pop("X-Resume")
        packet = {name: size for name, size in sizes.items() if name not in mine}
        assert sum(packet.values()) + token <= max(most, token)
        assert all(size <= 1002 for size in sizes.values())
        assert sum(size for name, size in sizes.items() if name in mine) <= MAX_GIVEN
        gone = {loss.field.partition(".")[0] for loss in result.dropped}
        for part in (Part.PRIORITY, Part.TAGS, Part.INFORMATION, Part.SUMMARY):
            said = getattr(context, part.value)
            sent = any(name.lower().startswith(f"x-{part.value[:4]}") for name in packet)
            assert sent or not said or part.value in gone, part
