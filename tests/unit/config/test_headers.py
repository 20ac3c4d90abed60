"""Headers from outside (RFC 3261 sections 7.3 and 25.1)."""

from __future__ import annotations

import pytest

from config.errors import InvalidValue
from config.headers import check_name, check_value


@pytest.mark.parametrize("name", ["X-Case", "User-to-User", "Reason", "Subject"])
def test_free_to_set(name: str) -> None:
    assert check_name(name) == name


WRITTEN_BY_THE_GATEWAY = """
    Via from TO Call-ID CSeq Contact Route Record-Route Content-Type content-length
    Refer-To Referred-By Replaces Require Authorization User-Agent i M r
    Diversion P-Asserted-Identity Privacy
"""


@pytest.mark.parametrize("name", WRITTEN_BY_THE_GATEWAY.split())
def test_written_by_the_gateway(name: str) -> None:
    with pytest.raises(InvalidValue, match="the gateway writes this header itself"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-A\r\nVia", "X-Ä", "X-A\n"])
def test_no_token(name: str) -> None:
    with pytest.raises(InvalidValue, match="a header's name has"):
        check_name(name)


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\n", "a\x00", "\x7f", "\x1b[2J"])
def test_no_value(value: str) -> None:
    with pytest.raises(InvalidValue, match="must not carry CR, LF, NUL"):
        check_value(value)


def test_a_value_may_be_empty_or_in_any_script() -> None:
    assert check_value("") == ""
    assert check_value("Grüße\tan Zoë") == "Grüße\tan Zoë"


def test_a_line_over_a_kilobyte() -> None:
    with pytest.raises(InvalidValue, match="at most 1000 characters"):
        check_value("x" * 1001)
