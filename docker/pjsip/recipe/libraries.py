"""PJSIP's static libraries and the SWIG wrapper of pjsua2: everything that is not our own code.

The result is one folder, independent of the source tree that it was built in:

    include/        PJSIP's headers, all libraries together
    lib/*.a         static, position independent
    wrapper.o       what SWIG made of switchhook.i, compiled
    pjsua2.py       the Python side of it
    COPYING         PJSIP's licence
    pjsip.json      version, compiler definitions, libraries to link with
"""

import json
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from recipe import cache, source
from recipe.failure import RecipeError
from recipe.steps import Steps

HERE = Path(__file__).resolve().parent.parent
CONFIG_SITE = HERE / "config_site.h"
INTERFACE = HERE / "switchhook.i"

CFLAGS = "-O3 -DNDEBUG -fPIC"
"""-O3 for its vector instructions: the bridge's levels and sums take a third of the time."""
CONFIGURE = (
    "--enable-epoll",
    # The gateway has no sound card and no picture.
    "--disable-sound",
    "--disable-video",
    "--disable-v4l2",
    "--disable-libyuv",
    "--disable-sdl",
    "--disable-ffmpeg",
    # Echo is the far end's to cancel.
    "--disable-libwebrtc",
    "--disable-speex-aec",
    # Codecs that no trunk here speaks, and whose sources Debian's tarball leaves out.
    "--disable-bcg729",
    "--disable-silk",
    "--disable-opencore-amr",
    "--disable-ilbc-codec",
    "--disable-g7221-codec",
    "--disable-gsm-codec",
    # Debian's own libraries in place of the copies that its tarball leaves out.
    "--with-external-srtp",
    "--with-external-speex",
    "--enable-speex-resample",
)

LEFT_OUT_OF_TARBALL = (
    "pjmedia/src/pjmedia-audiodev/bdimad_dev.c",
    "pjmedia/src/pjmedia-audiodev/s60_g729_bitstream.h",
    "pjmedia/src/pjmedia-videodev/null_dev.c",
)
"""Files of other platforms that `make dep` asks for and that Debian's tarball does not carry."""

MUST_FIND = {
    "pjlib/include/pj/compat/os_auto.h": {
        "PJ_HAS_SSL_SOCK 1": "libssl-dev",
        "PJ_IOQUEUE_IMP PJ_IOQUEUE_IMP_EPOLL": "a Linux with epoll",
    },
    "pjmedia/include/pjmedia-codec/config_auto.h": {
        "PJMEDIA_HAS_OPUS_CODEC 1": "libopus-dev",
    },
}
"""Header written by configure → definition it must have → what is missing when it has not.

configure goes on without what it does not find; a gateway without TLS would be found out later.
"""

PARTS = ("pjlib", "pjlib-util", "pjnath", "pjmedia", "pjsip")

WRAPPER_OPTIMISATION = "-O1"
"""29 s to compile; -O3 takes 96 s and gains nothing measurable."""

JOBS = 2
"""Compilers at once: what a small machine bears."""


@dataclass(frozen=True)
class Pjsip:
    """Built libraries, as extension.py needs them."""

    folder: Path
    version: str
    defines: list[str]
    """Compiler options such as `-DPJ_AUTOCONF=1` with which the headers must be read."""

    link: list[str]
    """Linker options for the libraries of the system, such as `-lssl`."""


def key(tarball: Path) -> str:
    """Changes with the source, with this recipe, and with the tools of the machine."""
    return cache.key([tarball, CONFIG_SITE, INTERFACE, Path(__file__)], cache.toolchain())


def read(folder: Path) -> Pjsip:
    """What build() left in `folder`."""
    return Pjsip(folder, **json.loads((folder / "pjsip.json").read_text()))


def build(tarball: Path, destination: Path, steps: Steps) -> None:
    """Build from `tarball` into the empty folder `destination`. Four steps, about 65 s."""
    with tempfile.TemporaryDirectory(prefix="switchhook-pjsip-") as folder:
        tree = Path(folder)
        with steps.step("Unpacking and configuring PJSIP"):
            version = source.unpack(tarball, tree, steps)
            _configure(tree, steps)
        with steps.step(f"Compiling PJSIP {version}"):
            steps.run(["make", "dep"], cwd=tree)
            steps.run(["make", f"-j{JOBS}", "lib"], cwd=tree)
            _collect(tree, destination)
        defines, link = _compiler_options(tree)
        with steps.step("Generating the Python wrapper"):
            swig = tree / "pjsip-apps/src/swig"
            wrapper = tree / "wrapper.cpp"
            includes = [f"-I{destination / 'include'}", f"-I{swig}"]
            # -threads: PJSIP is called without the interpreter's lock, and its callbacks take it.
            # -w312: nested structs, which pjsua2.i leaves out on purpose.
            options = ["-c++", "-python", "-threads", "-w312", *defines, *includes]
            steps.run(["swig", *options, "-outdir", destination, "-o", wrapper, INTERFACE])
        with steps.step("Compiling the Python wrapper"):
            includes = [f"-I{destination / 'include'}", f"-I{sysconfig.get_path('include')}"]
            options = [WRAPPER_OPTIMISATION, "-fPIC", "-DNDEBUG", *defines, *includes]
            steps.run(["g++", *options, "-c", wrapper, "-o", destination / "wrapper.o"])
        facts = {"version": version, "defines": defines, "link": link}
        (destination / "pjsip.json").write_text(json.dumps(facts, indent=2))


def _configure(tree: Path, steps: Steps) -> None:
    for name in LEFT_OUT_OF_TARBALL:
        (tree / name).touch()
    shutil.copyfile(CONFIG_SITE, tree / "pjlib/include/pj/config_site.h")
    environment = os.environ | {"CFLAGS": CFLAGS, "CXXFLAGS": CFLAGS}
    steps.run(["./configure", *CONFIGURE], cwd=tree, env=environment)
    for header, definitions in MUST_FIND.items():
        text = (tree / header).read_text()
        for definition, needed in definitions.items():
            if f"#define {definition}\n" not in text:
                raise RecipeError(f"configure found no {needed}: {definition} is not in {header}.")


def _collect(tree: Path, destination: Path) -> None:
    """Copy headers, libraries and licence out of the source tree."""
    (destination / "lib").mkdir()
    for part in PARTS:
        shutil.copytree(tree / part / "include", destination / "include", dirs_exist_ok=True)
        for library in (tree / part / "lib").glob("*.a"):
            shutil.copy2(library, destination / "lib")
    shutil.copyfile(tree / "COPYING", destination / "COPYING")


def _compiler_options(tree: Path) -> tuple[list[str], list[str]]:
    """Definitions and system libraries, as PJSIP's own build.mak states them."""
    script = "include build.mak\noptions:\n\t@echo $(PJ_CXXFLAGS)\n\t@echo $(PJ_LDXXLIBS)\n"
    output = subprocess.run(
        ["make", "--silent", "--no-print-directory", "-f", "-", "options"],
        cwd=tree,
        input=script,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    flags, libraries = (line.split() for line in output.splitlines())
    own = re.compile(r"-l(pj|pjlib|pjmedia|pjnath|pjsip|pjsua)")
    return (
        sorted({flag for flag in flags if flag.startswith("-D")}),
        [library for library in libraries if not own.match(library)],
    )
