"""The flame graph: what the profilers print is read, weighed by thread, and drawn."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from bench.flame import LOOP, Stack, perf_stacks, py_spy_stacks, weighed
from bench.flame_svg import drawn

PERF = """switchhook  77/77
\t    1a2b PyObject_Call

media-clock  77/90
\t    1a2b sendto
\t    1a2c put_frame+0x12
\t    1a2d thread_main
\t    1a2e clone3

media-clock  77/90
\t    1a2c put_frame
\t    1a2d thread_main

"""

PY_SPY = """thread (0x7F): "MainThread";main (gateway/cli.py:7);uv_run (core.c:1);tick (a.py:12) 3
thread (0x7F): "MainThread";main (gateway/cli.py:7);uv_run (core.c:1);tick (a.py:14) 1
thread (0x80): "recordings";write (tape.py:1) 9
"""


def test_perf_tells_of_every_thread_but_the_loops() -> None:
    assert perf_stacks(PERF) == {
        ("media-clock", "clone3", "thread_main", "put_frame", "sendto"): 1,
        ("media-clock", "thread_main", "put_frame"): 1,
    }


def test_py_spy_tells_of_the_loop_by_function() -> None:
    stack = (LOOP, "main (gateway/cli.py)", "uv_run (core.c)", "tick (a.py)")
    assert py_spy_stacks(PY_SPY) == {stack: 4}


def test_a_thread_is_as_wide_as_its_ticks_and_begins_with_its_work() -> None:
    stacks = perf_stacks(PERF) + py_spy_stacks(PY_SPY)
    assert weighed(stacks, {LOOP: 30, "media-clock": 10}) == {
        (LOOP, "tick (a.py)"): 30_000,
        ("media-clock", "put_frame", "sendto"): 5000,
        ("media-clock", "put_frame"): 5000,
    }


def test_the_picture_has_each_frame_with_its_share_and_none_too_small_to_see() -> None:
    stacks: Counter[Stack] = Counter({("a", "b<c>"): 600, ("a", "d"): 399, ("a", "tiny"): 1})
    picture = drawn(stacks, "What & why")
    assert "What &amp; why" in picture
    titles = [unescape(each) for each in re.findall("<title>(.*?)</title>", picture)]
    assert titles == ["the gateway's process: 100.0%", "a: 100.0%", "b<c>: 60.0%", "d: 39.9%"]
