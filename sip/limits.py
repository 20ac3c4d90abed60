"""How fast, and how many: the limits of what we dial. What is dialled to us, the gate limits."""

from __future__ import annotations

from collections.abc import Collection

from config.limits import Rate
from config.settings import Settings
from config.targets import Target
from sip.errors import DestinationBlocked
from sip.leg import Leg


class TokenBucket:
    """A token comes back every 1/rate seconds, up to `burst`. Sans-IO: the caller has the clock."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token if there is one.

        Args:
            now: monotonic seconds; never less than at the last call.
        """
        if self._at is not None:
            self._tokens += (now - self._at) * self._rate.calls_per_second
        self._tokens = min(self._tokens, float(self._rate.burst))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class DialLimits:
    """What stands in the way of one more call out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._buckets = {
            name: TokenBucket(trunk.limits.rate)
            for name, trunk in settings.trunks.items()
            if trunk.limits.rate is not None
        }

    def check(self, target: Target, legs: Collection[Leg], now: float) -> None:
        """Return if one more leg may be dialled; it counts as dialled then.

        Args:
            target: whom to call.
            legs: all live legs.
            now: monotonic seconds.

        Raises:
            DestinationBlocked: a limit is reached; its name is in the message.
        """
        if len(legs) >= self._settings.sip.max_calls:
            raise DestinationBlocked("as many legs as `sip.max_calls` allows")
        if target.max_calls is not None:
            busy = sum(leg.info.destination == target.destination for leg in legs)
            if busy >= target.max_calls:
                raise DestinationBlocked(f"as many legs to the target as its `max_calls`, {busy}")
        name = target.trunk or ""
        trunk = self._settings.trunks.get(name)
        if trunk is None:
            return
        if trunk.limits.calls is not None:
            used = sum(leg.info.trunk == name for leg in legs)
            if used >= trunk.limits.calls:
                raise DestinationBlocked(f"as many legs as `trunks.{name}.limits.calls`, {used}")
        bucket = self._buckets.get(name)
        if bucket is not None and not bucket.take(now):
            raise DestinationBlocked(f"faster than `trunks.{name}.limits.rate` allows")
