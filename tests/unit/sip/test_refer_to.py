"""Where a received REFER points (RFC 3515 section 2.1)."""

from __future__ import annotations

import pytest

from config.settings import Settings
from sip.message import Message
from sip.transfer.refer_to import ReferRefused, ReferTo, refer_to, target_of
from sip.transfer.replaces import Replaces

SETTINGS = Settings.model_validate(
    {
        "sip": {"listen": [{"address": "10.0.0.1"}], "rtp": {"address": "10.0.0.1"}},
        "trunks": {
            "pbx": {"sources": ["10.0.0.3/32"], "proxy": "sip:10.0.0.3:5060"},
            "carrier": {"sources": ["10.0.0.2/32"]},
        },
        "targets": {
            "billing": {"kind": "internal", "destination": "sip:billing@10.0.0.8", "timeout": 12}
        },
    }
)
OWN = {("10.0.0.1", 5060)}


def request(*lines: str) -> Message:
    return Message("\r\n".join(["REFER sip:us@10.0.0.1 SIP/2.0", *lines, "", ""]))


@pytest.mark.parametrize(
    ("value", "destination"),
    [
        ("<sip:b@10.0.0.8>", "sip:b@10.0.0.8"),
        ('"Bob" <sip:b@10.0.0.8:5070;transport=tcp>', "sip:b@10.0.0.8:5070;transport=tcp"),
        ("sip:b@10.0.0.8", "sip:b@10.0.0.8"),
        ("<sip:b@10.0.0.8?X-Inj=1&Subject=hi>", "sip:b@10.0.0.8"),
        ("<sip:b@10.0.0.8;method=INVITE>", "sip:b@10.0.0.8"),
        ("<tel:+49-30-12345;phone-context=x>", "+493012345"),
        ("<sip:10.0.0.8?X-Inj=a@b>", "sip:10.0.0.8"),
    ],
)
def test_what_it_means_is_kept_and_its_headers_are_not(value: str, destination: str) -> None:
    assert refer_to(request(f"Refer-To: {value}")) == ReferTo(destination)


def test_the_compact_name_is_known() -> None:
    assert refer_to(request("r: <sip:b@10.0.0.8>")).destination == "sip:b@10.0.0.8"


def test_replaces_alone_is_kept_of_the_headers() -> None:
    """RFC 3891 section 3, in the escaped form of RFC 3261 section 19.1.1."""
    uri = "sip:b@10.0.0.8?X-Inj=1&Replaces=12%40h%3Bto-tag%3Da1%3Bfrom-tag%3Db2&Require=replaces"
    found = refer_to(request(f"Refer-To: <{uri}>"))
    assert found == ReferTo("sip:b@10.0.0.8", Replaces("12@h", "a1", "b2"))


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), 400),
        (("Refer-To: <sip:b@10.0.0.8>", "Refer-To: <sip:c@10.0.0.8>"), 400),
        (("Refer-To: <mailto:b@x>",), 400),
        (("Refer-To: <sip:b@10.0.0.8;method=BYE>",), 603),
        (("Refer-To: <sip:b@10.0.0.8;maddr=10.9.9.9>",), 603),
        (("Refer-To: <tel:110>",), 603),
        (("Refer-To: <sip:b@10.0.0.8?Replaces=nothing>",), 400),
        (("Refer-To: <sip:b@h?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2%0D%0AX%3A1>",), 603),
    ],
)
def test_what_cannot_be_dialled_is_refused(lines: tuple[str, ...], code: int) -> None:
    with pytest.raises(ReferRefused) as refused:
        refer_to(request(*lines))
    assert refused.value.code == code


class TestWhomADestinationMeans:
    """A named target where it is one; else a target made of it."""

    def test_the_destination_of_a_target_is_that_target(self) -> None:
        name, target = target_of("sip:billing@10.0.0.8", "pbx", SETTINGS, OWN)
        assert (name, target.timeout) == ("billing", 12)

    def test_our_own_address_with_a_targets_name_is_that_target(self) -> None:
        """A telephone that knows nothing but the gateway writes the gateway's address."""
        name, _ = target_of("sip:billing@10.0.0.1", "pbx", SETTINGS, OWN)
        assert name == "billing"

    @pytest.mark.parametrize("destination", ["+493012345", "sip:+493012345@10.0.0.1:5060"])
    def test_a_number_goes_over_the_referrers_trunk(self, destination: str) -> None:
        name, target = target_of(destination, "pbx", SETTINGS, OWN)
        assert (name, target.destination, target.trunk) == ("+493012345", "+493012345", "pbx")

    def test_our_own_address_with_anything_else_is_nobody(self) -> None:
        with pytest.raises(ReferRefused) as refused:
            target_of("sip:somebody@10.0.0.1", "pbx", SETTINGS, OWN)
        assert refused.value.code == 404

    @pytest.mark.parametrize(("host", "trunk"), [("10.0.0.3", "pbx"), ("10.0.0.9", None)])
    def test_a_uri_goes_over_the_trunk_that_stands_there(
        self, host: str, trunk: str | None
    ) -> None:
        _, target = target_of(f"sip:b@{host}", "carrier", SETTINGS, OWN)
        assert (target.trunk, target.usual_method) == (trunk, "invite")
