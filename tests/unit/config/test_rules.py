"""Destination rules: what may be dialled, and what is then dialled."""

from __future__ import annotations

import pytest

from config.errors import Undialable
from config.rules import Verdict, allowed, destination_uri, reachable
from config.settings import Settings
from config.targets import Reach, Target
from config.trunks import Trunk
from tests.unit.config.files import Files


@pytest.fixture
def settings(files: Files) -> Settings:
    patterns = "[+49*, '+431234', 'sip:*@example.com', 'sip:2*@10.0.0.9:5070', 'sip:*@*.lab.test']"
    files.change_settings("bots:", f"allow: {patterns}\nbots:")
    return files.load().settings


@pytest.mark.parametrize(
    ("destination", "rule"),
    [
        ("sip:billing@10.0.0.8", "target billing"),
        ("SIP:billing@10.0.0.8", "target billing"),
        ("sip:%62illing@10.0.0.8", "target billing"),
        ("+493012345", "target doctor"),
        ("+49301", "allow +49*"),
        ("+431234", "allow +431234"),
        ("sip:anybody@EXAMPLE.com", "allow sip:*@example.com"),
        ("sip:anybody@example.com:5080;transport=tcp", "allow sip:*@example.com"),
        ("sips:anybody@example.com", "allow sip:*@example.com"),
        ("sip:201@10.0.0.9:5070", "allow sip:2*@10.0.0.9:5070"),
        ("sip:x@a.lab.test", "allow sip:*@*.lab.test"),
    ],
)
def test_allowed(settings: Settings, destination: str, rule: str) -> None:
    assert allowed(destination, settings) == Verdict(True, rule)


@pytest.mark.parametrize(
    "destination",
    [
        "+431235",
        "+4312345",
        "+1900123456",
        "sip:+49301@10.0.0.1",
        "sip:billing@10.0.0.8:5080",
        "sip:Billing@10.0.0.8",
        "sip:301@10.0.0.9:5070",
        "sip:201@10.0.0.9",
        "sip:x@lab.test",
        "sip:x@evil-lab.test",
        "sip:x@example.com.evil.test",
    ],
)
def test_blocked(settings: Settings, destination: str) -> None:
    reason = "is no named target's and matches nothing of `allow`"
    assert allowed(destination, settings) == Verdict(False, reason)


@pytest.mark.parametrize(
    "destination",
    [
        "sip:x@example.com;maddr=10.6.6.6",
        "sip:x@example.com;method=BYE",
        "sip:x@example.com?Route=%3Csip:evil.test%3E",
        "sip:x%0d%0aRoute:y@example.com",
        "sip:x@example.com\r\nRoute: y",
        "sip:x@evil.test@example.com",
        "sip:x:password@example.com",
        "tel:+49301",
        "billing",
        "+49 30 1",
        "+4930\n",
        "",
    ],
)
def test_what_is_no_destination_is_blocked(settings: Settings, destination: str) -> None:
    assert not allowed(destination, settings).allowed


class TestDenyAndTrunks:
    """What is denied, and what a trunk and a target keep to themselves."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "sip": {"listen": [{"address": "127.0.0.1"}], "rtp": {"address": "127.0.0.1"}},
                "trunks": {
                    "carrier": {
                        "sources": ["10.0.0.2"],
                        "proxy": "sip:10.0.0.2",
                        "numbers": {"country": "49"},
                    },
                    "branch": {"sources": ["10.0.0.3"], "allow": ["+4930*"]},
                },
                "allow": ["+49*", "sip:*@10.0.0.2"],
                "deny": ["+4990*", "sip:boss@10.0.0.2"],
            }
        )

    @pytest.mark.parametrize(
        "destination",
        [
            "+4990012345",
            "sip:+4990012345@10.0.0.2",
            "sip:090012345@10.0.0.2",
            "sip:%2b4990012345@10.0.0.2",
            "sip:004990012345@10.0.0.2;user=phone",
            "sip:boss@10.0.0.2",
        ],
    )
    def test_deny_wins_however_it_is_written(self, settings: Settings, destination: str) -> None:
        verdict = allowed(destination, settings, "carrier")
        assert not verdict.allowed
        assert verdict.reason.startswith("is denied by")

    def test_over_a_trunk_only_what_it_allows_is_dialled(self, settings: Settings) -> None:
        assert allowed("+493012345", settings, "branch").allowed
        assert allowed("+4940123", settings, "carrier").allowed
        refused = allowed("+4940123", settings, "branch")
        assert refused == Verdict(False, "matches nothing of `trunks.branch.allow`")

    def test_a_target_may_be_for_some_trunks_calls(self) -> None:
        target = Target(
            kind=Reach.EXTERNAL,
            destination="+493012345",
            trunk="carrier",
            from_trunks=["branch"],
        )
        assert reachable(target, "branch").allowed
        assert reachable(target, "carrier") == Verdict(False, "is not for calls of trunk carrier")

    def test_a_number_leaves_as_its_trunk_writes_it(self, settings: Settings) -> None:
        national = {"sends": "national", "country": "49"}
        trunk = settings.trunks["carrier"].model_dump() | {"numbers": national}
        trunks = {"carrier": Trunk.model_validate({**trunk, "sources": ["10.0.0.2"]})}
        assert destination_uri(TestDestinationUri.NUMBER, trunks) == "sip:03012345@10.0.0.2"


class TestDestinationUri:
    """The request URI of a target."""

    NUMBER = Target(kind=Reach.EXTERNAL, destination="+493012345", trunk="carrier")

    @pytest.mark.parametrize(
        ("proxy", "uri"),
        [
            ("sip:10.0.0.2", "sip:+493012345@10.0.0.2"),
            ("sip:10.0.0.2:5070", "sip:+493012345@10.0.0.2:5070"),
            ("sip:proxy.test;transport=tcp;lr", "sip:+493012345@proxy.test;transport=tcp"),
        ],
    )
    def test_a_number_goes_to_its_trunks_proxy(self, proxy: str, uri: str) -> None:
        trunks = {"carrier": Trunk.model_validate({"sources": ["10.0.0.2"], "proxy": proxy})}
        assert destination_uri(self.NUMBER, trunks) == uri

    def test_a_uri_stays_as_it_is(self) -> None:
        target = Target(kind=Reach.INTERNAL, destination="sip:Billing@10.0.0.8;user=phone")
        assert destination_uri(target, {}) == "sip:Billing@10.0.0.8;user=phone"

    def test_a_number_without_a_way(self) -> None:
        with pytest.raises(Undialable, match="has no trunk to be dialled over"):
            destination_uri(self.NUMBER, {})
        inbound = Trunk.model_validate({"sources": ["10.0.0.2"]})
        with pytest.raises(Undialable, match="trunk carrier has no proxy"):
            destination_uri(self.NUMBER, {"carrier": inbound})
