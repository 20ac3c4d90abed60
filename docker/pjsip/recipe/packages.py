"""The Debian packages that a build needs (docker/packages/build.txt), checked before it starts."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from recipe.failure import RecipeError


def listed(package_list: Path) -> list[str]:
    """The package names of a list; `#` starts a comment line."""
    lines = (line.strip() for line in package_list.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def require(names: Iterable[str]) -> None:
    """Raise RecipeError naming every package that is not installed.

    Where there is no dpkg, nothing is checked here: configure and the compiler name what they miss.
    """
    if shutil.which("dpkg-query") is None:
        return
    wanted = list(names)
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,  # exits 1 when one is unknown, and still lists the others
    )
    refuse_missing(wanted, query.stdout)


def refuse_missing(wanted: Iterable[str], dpkg_status: str) -> None:
    """Raise RecipeError for each wanted name without a line `name installed` in `dpkg_status`."""
    installed = {
        name
        for name, status in (line.split() for line in dpkg_status.splitlines())
        if status == "installed"
    }
    missing = [name for name in wanted if name not in installed]
    if missing:
        names = " ".join(missing)
        raise RecipeError(
            f"these Debian packages are missing: {names}\n"
            f"Install them (as root), then build again:\n"
            f"    apt-get update && apt-get install -y --no-install-recommends {names}"
        )
