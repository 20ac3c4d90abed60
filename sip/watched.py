"""What happens, for those who watch it: from its beginning, however late they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sip.events import Event

# Events kept for late subscribers: an INVITE to its BYE takes about twenty.
MAX_HISTORY = 512


class Watched:
    """Something that tells what happens to it."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Event], None], ...] = ()
        self._history: deque[Event] = deque(maxlen=MAX_HISTORY)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Replay what happened so far into `listener`, then call it for each event, on the loop."""
        for event in list(self._history):
            listener(event)
        self._listeners += (listener,)

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Call `listener` for each event from now on, until the block is left."""
        self._listeners += (listener,)
        try:
            yield
        finally:
            self._listeners = tuple(each for each in self._listeners if each != listener)

    def unwatch(self) -> None:
        """Nobody watches any more. The listeners of a call's leg know the call, and the call its
        leg: together they would wait for the garbage collector."""
        self._listeners = ()

    def emit(self, event: Event) -> None:
        """Tell everybody who watches."""
        self._history.append(event)
        for listener in self._listeners:
            listener(event)
