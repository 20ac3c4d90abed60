"""Where built things are kept between builds, and the keys under which they are found again.

    $XDG_CACHE_HOME/switchhook/engine/   (~/.cache/switchhook/engine by default)
        pjproject.tar    the source from the Debian archive; remove it to get a newer one
        pjsip-KEY/       libraries, headers and SWIG wrapper (libraries.py)
        wheel-KEY/       the finished wheel (extension.py, wheel.py)
        build.log

A key is the hash of everything that the result depends on, so nothing in here is ever stale, and
removing the folder costs only time.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEY_DIGITS = 12

KEPT = 6
"""Results of each kind: a few checkouts and branches. A wheel takes 2 MB, the libraries 18 MB."""


def folder() -> Path:
    """The folder of the cache, which need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    return Path(base) / "switchhook" / "engine"


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One build at a time per cache; a second one waits, and then finds the first one's results."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another engine build to finish", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def key(files: Iterable[Path], facts: Iterable[str]) -> str:
    """A short hash over the names and contents of `files`, in any order, and over `facts`."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    for fact in facts:
        digest.update(f"{fact}\0".encode())
    return digest.hexdigest()[:KEY_DIGITS]


def toolchain() -> list[str]:
    """What of this machine the compiled result depends on: compiler, SWIG, Python's ABI."""
    versions = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        for command in (["gcc", "-dumpfullversion"], ["gcc", "-dumpmachine"], ["swig", "-version"])
    ]
    return [*versions, str(sysconfig.get_config_var("SOABI")), sys.version]


@contextmanager
def filled(destination: Path) -> Iterator[Path]:
    """An empty folder that becomes `destination` once the block ends without an error.

    A build that fails or is killed therefore leaves nothing that looks finished.
    """
    partial = destination.with_name(f"{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(destination)


def keep_newest(cache: Path, pattern: str) -> None:
    """Remove all but the last KEPT folders that match, so that the cache stays bounded."""
    folders = sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[KEPT:]:
        shutil.rmtree(path)
