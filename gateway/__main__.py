"""The console script, and `python -m gateway`."""

from __future__ import annotations

import gc


def main() -> None:
    """Load the command line, and do what it says."""
    # The collector would walk what is loaded again and again while more is: a seventh of the time.
    gc.disable()
    from gateway.cli import app  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    app()


if __name__ == "__main__":
    main()
