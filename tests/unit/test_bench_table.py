"""The table of `make bench`: the median decides, and sizes are named as they are."""

from __future__ import annotations

import pytest

from bench.__main__ import MEASUREMENTS, resized
from bench.bot_media import BotMedia
from bench.measurement import Figure
from bench.signalling import Signalling
from bench.table import Report, repeated


def of(*values: float, budget: float | None = 5) -> Report:
    runs = [[Figure("p99", value, "ms", budget)] for value in values]
    return Report("command", "Transfer command", repeated(runs))


def test_the_median_decides() -> None:
    [figure] = of(4, 9, 3).figures
    assert (figure.median, figure.held) == (4, True)
    [figure] = of(6, 9, 3).figures
    assert (figure.median, figure.held) == (6, False)


def test_without_a_budget_there_is_no_verdict() -> None:
    [figure] = of(4, budget=None).figures
    assert figure.held is None


def test_the_results_hold_every_run() -> None:
    assert of(4, 9, 3).as_dict() == {
        "name": "command",
        "title": "Transfer command",
        "figures": [
            {
                "name": "p99",
                "unit": "ms",
                "median": 4,
                "values": (4, 9, 3),
                "budget": 5,
                "held": True,
            }
        ],
    }


def test_a_size_is_changed_by_its_name() -> None:
    changed = resized(MEASUREMENTS, ["signalling.rate=100", "bot.seconds=2.5"])["signalling"]
    assert changed == Signalling(rate=100)


@pytest.mark.parametrize("size", ["signalling.rate", "signalling.speed=3", "nothing.rate=3", "=3"])
def test_an_unknown_size_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match=r"write NAME\.FIELD=VALUE"):
        resized(MEASUREMENTS, [size])


def test_a_size_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--set signalling\.rate=many: "):
        resized(MEASUREMENTS, ["signalling.rate=many"])


def test_a_measurement_so_long_that_numbers_of_frames_repeat_is_refused() -> None:
    with pytest.raises(ValueError, match="bot: 70 s: more than 66 s"):
        resized(MEASUREMENTS, ["bot.seconds=70"])


def test_sizes_are_judged_together() -> None:
    with pytest.raises(ValueError, match="more than 9 s"):
        resized(MEASUREMENTS, ["bot.calls=2000"])
    assert resized(MEASUREMENTS, ["bot.calls=2000", "bot.seconds=5"])["bot"] == BotMedia(2000, 5)
