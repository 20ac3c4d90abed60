"""Telephone numbers as a trunk writes them, and as E.164, which everything else here goes by.

What a trunk's numbers mean is agreed with its operator: prefixes and a country, no guessing. (A
library that guesses takes 1001 for a subscriber's number, and 110 too.)
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from config.strict import Strict
from config.uri import is_number

_WRITTEN = re.compile(r"\+?[0-9().\- ]*[0-9]")
"""A number as people and some switches write it: `+49 (30) 123-45` (RFC 3966 section 5.1.1)."""

_SEPARATORS = str.maketrans("", "", "().- ")

SHORTEST = 7
"""Digits of an E.164 number with its country code: what is shorter is an extension or a service,
such as 110 or 911, and stays as it is."""

Digits = Annotated[str, Field(pattern=r"^[0-9]{1,6}$")]


class Numbers(Strict):
    """How telephone numbers are written on a trunk. Without `country` they are left alone."""

    country: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}$")] | None = None
    """Country calling code that national numbers belong to, such as `"49"`."""
    international_prefix: Digits = "00"
    """Before a country code: `00`; `011` in North America."""
    national_prefix: Digits | Literal[""] = "0"
    """Before a national number: `0`; `1` in North America, empty where there is none."""
    bare: Literal["as_is", "international", "national"] = "as_is"
    """What a number of seven and more digits without any prefix is: `international` begins with its
    country code, `national` does not."""
    sends: Literal["e164", "digits", "international", "national"] = "e164"
    """What is dialled over the trunk: `+493012345`, `493012345`, `00493012345`, or `03012345` for
    numbers of `country` and `0044…` for others."""

    def to_e164(self, written: str) -> str:
        """A received number as E.164; what is none (an extension, a name) unchanged.

        Args:
            written: user part of a URI, without parameters.
        """
        if self.country is None or _WRITTEN.fullmatch(written) is None:
            return written
        text = written.translate(_SEPARATORS)
        for number in self._readings(text):
            if is_number(number) and len(number) > SHORTEST:
                return number
        return written

    def from_e164(self, number: str) -> str:
        """An E.164 number as the trunk wants it; what is none unchanged."""
        if not is_number(number):
            return number
        digits = number[1:]
        match self.sends:
            case "digits":
                return digits
            case "international":
                return self.international_prefix + digits
            case "national" if self.country is not None and digits.startswith(self.country):
                return self.national_prefix + digits.removeprefix(self.country)
            case "national":
                return self.international_prefix + digits
            case _:
                return number

    def _readings(self, text: str) -> list[str]:
        """What the digits may mean, the likeliest first."""
        if text.startswith("+"):
            return [text]
        found = []
        if text.startswith(self.international_prefix):
            found.append("+" + text.removeprefix(self.international_prefix))
        elif self.national_prefix and text.startswith(self.national_prefix):
            found.append(f"+{self.country}{text.removeprefix(self.national_prefix)}")
        elif self.bare == "international":
            found.append(f"+{text}")
        elif self.bare == "national" or not self.national_prefix:
            found.append(f"+{self.country}{text}")
        return found
