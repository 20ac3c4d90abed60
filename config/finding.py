"""A mistake that a check found, before it is known where in which file it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from config.document import Location


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the value at a location."""

    location: Location
    message: str
    hint: str = ""

    def below(self, location: Location) -> Finding:
        """The same, in a section that stands at `location`."""
        return replace(self, location=location + self.location)
