"""Our own C sources (sip/native) and PJSIP, linked into one Python extension."""

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from recipe import cache, libraries
from recipe.failure import RecipeError
from recipe.libraries import Pjsip
from recipe.steps import Steps

CFLAGS = ("-std=gnu11", "-O2", "-fPIC", "-fvisibility=default", "-Wall", "-Wextra", "-Werror")

FILE_NAME = f"_pjsua2{sysconfig.get_config_var('EXT_SUFFIX')}"

# Functions that sip/native stands before where PJSIP calls them: malformed.c sees each packet
# before it is read, clock.c has the sockets of the legs take turns, and srtp.c learns what SRTP
# cannot read.
WRAPPED = (
    "pjsip_tpmgr_receive_packet",
    "pj_ioqueue_recvfrom",
    "srtp_unprotect",
    "srtp_unprotect_rtcp",
)

IMPORT_CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
import pjsua2, _pjsua2
assert _pjsua2.native
endpoint = pjsua2.Endpoint()
print(endpoint.libVersion().full)
"""


def sources(native: Path) -> list[Path]:
    """The C files and headers of sip/native."""
    files = sorted([*native.glob("*.c"), *native.glob("*.h")])
    if not any(path.suffix == ".c" for path in files):
        raise RecipeError(f"{native} holds no C sources.")
    return files


def key(libraries_key: str, native: Path) -> str:
    """Changes with the libraries, with our C sources, and with the recipe from here on."""
    recipe = [Path(__file__), Path(__file__).with_name("wheel.py"), libraries.CONFIG_SITE]
    return cache.key([*sources(native), *recipe], [libraries_key])


def build(
    pjsip: Pjsip, native: Path, extension: Path, steps: Steps, flags: Sequence[str] = ()
) -> None:
    """Compile sip/native and link it with wrapper and libraries into the file `extension`.

    `flags` are given to compiler and linker besides the usual ones.
    """
    with tempfile.TemporaryDirectory(prefix="switchhook-native-") as folder:
        objects: list[Path] = []
        # -isystem: warnings of others' headers are not ours to fix.
        headers = [pjsip.folder / "include", sysconfig.get_path("include")]
        isystem = [f"-isystem{header}" for header in headers]
        options = [*CFLAGS, *flags, "-DNDEBUG", *pjsip.defines, *isystem]
        for path in sources(native):
            if path.suffix == ".c":
                target = Path(folder) / f"{path.stem}.o"
                steps.run(["gcc", *options, "-c", path, "-o", target])
                objects.append(target)
        # A group, because PJSIP's libraries need one another in both directions.
        archives = sorted((pjsip.folder / "lib").glob("*.a"))
        group: list[str | Path] = ["-Wl,--start-group", *archives, "-Wl,--end-group"]
        wrap = [f"-Wl,--wrap={name}" for name in WRAPPED]
        inputs = [*objects, pjsip.folder / "wrapper.o", *group, *pjsip.link]
        steps.run(["g++", *flags, *wrap, "-shared", "-o", extension, *inputs])


def check_import(folder: Path, version: str) -> None:
    """Import the extension in `folder` with a fresh interpreter; RecipeError if it is unfit."""
    check = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_CHECK, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode:
        raise RecipeError(
            f"the built engine cannot be imported.\n{check.stderr.strip()}\n"
            "A library that cannot be opened is in a package of docker/packages/runtime.txt; an "
            "undefined symbol is a function that sip/native uses and does not define."
        )
    if check.stdout.strip() != version:
        raise RecipeError(f"built PJSIP {version}, but the engine says {check.stdout.strip()!r}.")
