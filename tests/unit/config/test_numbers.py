"""Telephone numbers as trunks write them, and E.164."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.numbers import Numbers

GERMANY = Numbers(country="49")
AMERICA = Numbers(country="1", international_prefix="011", national_prefix="1")
SPAIN = Numbers(country="34", national_prefix="")


@pytest.mark.parametrize(
    ("trunk", "written", "number"),
    [
        (GERMANY, "+493012345", "+493012345"),
        (GERMANY, "+49 (30) 123-45", "+493012345"),
        (GERMANY, "03012345", "+493012345"),
        (GERMANY, "00442071234567", "+442071234567"),
        (AMERICA, "12125550100", "+12125550100"),
        (AMERICA, "011442071234567", "+442071234567"),
        (SPAIN, "912345678", "+34912345678"),
        (Numbers(country="49", bare="international"), "493012345", "+493012345"),
        (Numbers(country="1", national_prefix="1", bare="national"), "2125550100", "+12125550100"),
    ],
)
def test_what_a_trunk_writes_becomes_e164(trunk: Numbers, written: str, number: str) -> None:
    assert trunk.to_e164(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "110",
        "0110",
        "1001",
        "493012345",
        "anonymous",
        "sales",
        "*98",
        "",
        "+",
        "0030",
        "00",
        "+0491",
    ],
)
def test_an_extension_a_service_and_a_name_stay_as_they_are(written: str) -> None:
    assert GERMANY.to_e164(written) == written


def test_without_a_country_nothing_is_touched() -> None:
    for written in ("03012345", "+49 30 12345", "1001"):
        assert Numbers().to_e164(written) == written


@pytest.mark.parametrize(
    ("sends", "home", "abroad"),
    [
        ("e164", "+493012345", "+442071234567"),
        ("digits", "493012345", "442071234567"),
        ("international", "00493012345", "00442071234567"),
        ("national", "03012345", "00442071234567"),
    ],
)
def test_a_number_leaves_as_the_trunk_wants_it(sends: str, home: str, abroad: str) -> None:
    trunk = Numbers.model_validate({"country": "49", "sends": sends})
    assert trunk.from_e164("+493012345") == home
    assert trunk.from_e164("+442071234567") == abroad
    assert trunk.from_e164("1001") == "1001"


@given(
    digits=st.from_regex(r"[1-9][0-9]{7,13}", fullmatch=True),
    sends=st.sampled_from(["e164", "international", "national"]),
    country=st.sampled_from(["49", "34", "1", "39"]),
)
def test_what_is_sent_is_read_back(digits: str, sends: str, country: str) -> None:
    trunk = Numbers.model_validate({"country": country, "sends": sends})
    number = f"+{digits}"
    assume(sends != "national" or not digits.startswith(country + "0"))
    assert trunk.to_e164(trunk.from_e164(number)) == number


@given(st.text(max_size=20))
def test_reading_is_done_once(written: str) -> None:
    once = GERMANY.to_e164(written)
    assert GERMANY.to_e164(once) == once
