"""Office hours: open and closed at every moment, whatever the time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.hours import Hours

WEEK = {"mon-thu": ["09:00-12:30", "13:30-18:00"], "fri": ["09:00-16:00"], "sat": ["22:00-02:00"]}


def hours(**keys: Any) -> Hours:
    return Hours.model_validate({"zone": "Europe/Berlin", "week": WEEK, **keys})


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T08:59:59+01:00", False),  # a Monday
        ("2026-11-23T09:00:00+01:00", True),
        ("2026-11-23T12:30:00+01:00", False),
        ("2026-11-23T13:30:00+01:00", True),
        ("2026-11-27T17:00:00+01:00", False),  # a Friday
        ("2026-11-22T12:00:00+01:00", False),  # a Sunday
        ("2026-11-23T08:00:00+00:00", True),  # the same moment, said in UTC
        ("2026-07-06T07:00:00+00:00", True),  # summer time
        ("2026-07-06T06:59:00+00:00", False),
        ("2026-11-28T23:00:00+01:00", True),  # Saturday night
        ("2026-11-29T01:59:00+01:00", True),
        ("2026-11-29T02:00:00+01:00", False),
    ],
)
def test_the_week(moment: str, is_open: bool) -> None:
    assert (hours().closed(datetime.fromisoformat(moment)) is None) == is_open


def test_the_reason_names_the_time_of_the_office() -> None:
    why = hours().closed(datetime.fromisoformat("2026-11-22T11:15:00+00:00"))
    assert why == "closed at 12:15 on Sunday (Europe/Berlin)"


def test_a_public_holiday_is_closed_and_named() -> None:
    monday = datetime.fromisoformat("2027-03-08T10:00:00+01:00")
    assert hours(calendar="DE-BE").closed(monday) == "closed on 2027-03-08: Women's Day"
    assert hours(calendar="DE-BY").closed(monday) is None


def test_a_date_has_the_last_word() -> None:
    dates = {"2026-12-25": ["10:00-12:00"], "2026-12-24": []}
    special = hours(calendar="DE", dates=dates)
    assert special.closed(datetime.fromisoformat("2026-12-25T11:00:00+01:00")) is None
    eve = datetime.fromisoformat("2026-12-24T11:00:00+01:00")
    assert special.closed(eve) == "closed on 2026-12-24"


def test_a_day_that_goes_over_midnight_ends_on_a_holiday_too() -> None:
    night = hours(week={"thu": ["22:00-06:00"]}, dates={"2026-12-25": []})
    assert night.closed(datetime.fromisoformat("2026-12-25T05:00:00+01:00")) is None
    assert night.closed(datetime.fromisoformat("2026-12-25T06:00:00+01:00")) is not None


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)))  # noqa: DTZ001
def test_whole_days_are_open_at_every_moment(moment: datetime) -> None:
    """Also in the hour that a change of the clock skips or repeats."""
    always = hours(week={"mon-sun": ["00:00-24:00"]}, zone="America/New_York")
    assert always.closed(moment.astimezone()) is None
