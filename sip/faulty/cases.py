"""The misbehaviours by name: what the peer does, where the RFC speaks of it, what must come of it.

    switchhook transfer rehearse FLOW --node N --simulate 503-retry-after

Beside the names here any final code is one: `486` is what an INVITE is answered with, and what a
REFER's NOTIFY reports.
"""

from __future__ import annotations

import sys

from sip.faulty.bye_cases import BYE, refuses_bye
from sip.faulty.case import Case
from sip.faulty.invite_cases import INVITE, refuses
from sip.faulty.refer_cases import REFER, notified
from sip.outcome import Method

TABLES: dict[Method, dict[str, Case]] = {
    Method.INVITE: INVITE,
    Method.REFER: REFER,
    Method.BYE: BYE,
    Method.ATTENDED: INVITE,
}


def find(method: Method, name: str) -> Case:
    """The case of this name for a transfer by `method`; a code from 300 to 699 is one too.

    Raises:
        KeyError: there is none; the message names those there are.
    """
    table = TABLES[method]
    if name in table:
        return table[name]
    if name.isascii() and name.isdigit() and 300 <= int(name) <= 699:
        code = int(name)
        match method:
            case Method.INVITE | Method.ATTENDED:
                return refuses(code)
            case Method.REFER:
                return notified(code)
            case Method.BYE:
                return refuses_bye(code, name)
    raise KeyError(
        f"no failure {name!r} for a transfer by {method.value}; there are: {', '.join(table)}, "
        "and every code from 300 to 699"
    )


def tables() -> str:
    """The cases as the rows of a page, one table a method."""
    lines: list[str] = []
    for table in (INVITE, REFER, BYE):
        methods = ", ".join(f"`{method}`" for method, its in TABLES.items() if its is table)
        lines += [f"| by {methods} | the peer | |", "| --- | --- | --- |"]
        lines += [f"| `{each.name}` | {each.what} | {each.section} |" for each in table.values()]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(tables())
