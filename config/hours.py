"""Office hours: when somebody is there, in the time zone of the office.

The most exact entry wins: a date, then a public holiday of `calendar` (closed), then the weekday.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from config.errors import InvalidValue
from config.strict import Strict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_RANGE = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_CALENDAR = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,4})?")


@dataclass(frozen=True, slots=True)
class _Span:
    """From the first minute to before the last, in minutes of the day; over midnight: beyond."""

    first: int
    last: int


def _span(text: str) -> _Span:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InvalidValue("is no time range", "Write one such as `09:00-17:30`")
    first = int(match[1]) * 60 + int(match[2])
    last = 24 * 60 if match[3] is None else int(match[3]) * 60 + int(match[4])
    if first == last:
        raise InvalidValue("begins where it ends", "For a whole day write `00:00-24:00`")
    return _Span(first, last if last > first else last + 24 * 60)


def _range(text: str) -> str:
    _span(text)
    return text


def days_of(key: str) -> tuple[str, ...]:
    """The weekdays of `mon`, `mon-fri` or `fri-mon`. Raises InvalidValue."""
    first, _, last = key.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise InvalidValue("is no weekday", "Write `mon`, `tue` …, or a range such as `mon-fri`")
    start, count = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7 + 1
    return tuple(DAYS[(start + step) % 7] for step in range(count))


def _days(key: str) -> str:
    days_of(key)
    return key


def _date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise InvalidValue("is no date", "Write one such as `2026-12-24`") from None
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValue("is no time zone", "Write one such as `Europe/Berlin`") from None
    return name


def _calendar(name: str) -> str:
    if _CALENDAR.fullmatch(name) is None:
        raise InvalidValue("is no country", "Write ISO 3166 codes, such as `DE` or `DE-BE`")
    try:
        _public_holiday(name, date(2026, 1, 1))
    except NotImplementedError:
        message = "has no calendar of public holidays that is known here"
        raise InvalidValue(message, "Write the days under `dates`") from None
    return name


Range = Annotated[str, AfterValidator(_range)]
"""`09:00-17:30`; `22:00-06:00` goes over midnight."""


class Hours(Strict):
    """When somebody is there. Outside these hours a target is `unavailable`, and never dialled."""

    zone: Annotated[str, AfterValidator(_zone)]
    """The office's time zone, by its IANA name: `Europe/Berlin`."""
    week: dict[Annotated[str, AfterValidator(_days)], list[Range]] = Field(min_length=1)
    """Opening times by weekday: `mon-fri: ["09:00-17:30"]`. A day that is not named is closed."""
    calendar: Annotated[str, AfterValidator(_calendar)] | None = None
    """Closed on the public holidays of this country or region: `DE`, `DE-BE`."""
    dates: dict[Annotated[str, AfterValidator(_date)], list[Range]] = Field(default_factory=dict)
    """Opening times of single dates: `"2026-12-31": ["09:00-12:00"]`; `[]`: closed."""

    @model_validator(mode="after")
    def _each_day_once(self) -> Self:
        seen: set[str] = set()
        for key in self.week:
            for day in days_of(key):
                if day in seen:
                    raise InvalidValue(f"names `{day}` twice", "Name each day once", at="week")
                seen.add(day)
        return self

    def closed(self, at: datetime) -> str | None:
        """Why nobody is there at a moment (an aware datetime); None: somebody is."""
        local = at.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        yesterday, _ = self._spans(local.date() - timedelta(days=1))
        if any(span.first <= minute + 24 * 60 < span.last for span in yesterday):
            return None
        today, why = self._spans(local.date())
        if any(span.first <= minute < span.last for span in today):
            return None
        return why or f"closed at {local:%H:%M} on {local:%A} ({self.zone})"

    def _spans(self, day: date) -> tuple[list[_Span], str]:
        """When it is open on a date, and what is special about that date."""
        if (special := self.dates.get(day.isoformat())) is not None:
            return [_span(each) for each in special], f"closed on {day}"
        if self.calendar is not None and (name := _public_holiday(self.calendar, day)):
            return [], f"closed on {day}: {name}"
        return list(_week(self.week).get(DAYS[day.weekday()], ())), ""


def _week(week: Mapping[str, list[str]]) -> dict[str, tuple[_Span, ...]]:
    return {
        day: tuple(_span(each) for each in ranges)
        for key, ranges in week.items()
        for day in days_of(key)
    }


@lru_cache(maxsize=1024)
def _public_holiday(calendar: str, day: date) -> str:
    """The name of a public holiday; empty: it is none. Raises NotImplementedError."""
    # Loaded where it is needed: it takes 0.2 s, and few configurations have a calendar.
    import holidays  # noqa: PLC0415

    country, _, region = calendar.partition("-")
    known = holidays.country_holidays(country, subdiv=region or None, years=day.year)
    return str(known.get(day) or "")
