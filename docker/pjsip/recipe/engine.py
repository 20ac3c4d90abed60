"""From source to wheel, taking each part from the cache where it is there."""

import shutil
import tempfile
from pathlib import Path

from recipe import cache, extension, libraries, packages, source, wheel
from recipe.libraries import Pjsip
from recipe.steps import Steps
from recipe.wheel import EngineFacts

ROOT = Path(__file__).resolve().parents[3]
NATIVE = ROOT / "sip" / "native"
PACKAGES = ROOT / "docker" / "packages" / "build.txt"

STEPS = 6


def build(native: Path = NATIVE) -> Path:
    """Build what is not in the cache; returns the wheel's path."""
    packages.require(packages.listed(PACKAGES))
    extension.sources(native)  # so that a wrong folder is told before the libraries are built
    store = cache.folder()
    with cache.locked(store):
        tarball = source.named_tarball() or store / "pjproject.tar"
        if tarball.is_file():
            libraries_key = libraries.key(tarball)
            finished = store / f"wheel-{extension.key(libraries_key, native)}"
            if finished.is_dir():
                return _wheel_in(finished)

        steps = Steps(STEPS, store / "build.log")
        if tarball.is_file():
            steps.cached("Source of PJSIP")
        else:
            with steps.step("Source of PJSIP, from the Debian archive"):
                source.download(tarball, steps)

        libraries_key = libraries.key(tarball)
        pjsip_folder = store / f"pjsip-{libraries_key}"
        if pjsip_folder.is_dir():
            steps.cached("PJSIP and its Python wrapper", count=4)
        else:
            with cache.filled(pjsip_folder) as destination:
                libraries.build(tarball, destination, steps)

        wheel_key = extension.key(libraries_key, native)
        finished = store / f"wheel-{wheel_key}"
        with steps.step("sip/native, linking, the wheel"), cache.filled(finished) as destination:
            pjsip = libraries.read(pjsip_folder)
            facts = wheel.engine_facts(pjsip.version, wheel_key, tarball)
            _pack(destination, pjsip, native, facts, steps)
        cache.keep_newest(store, "wheel-*")
        cache.keep_newest(store, "pjsip-*")
        return _wheel_in(finished)


def _wheel_in(folder: Path) -> Path:
    return next(folder.glob("*.whl"))


def _pack(destination: Path, pjsip: Pjsip, native: Path, facts: EngineFacts, steps: Steps) -> None:
    """Link the extension, import it once, and write the wheel into `destination`."""
    with tempfile.TemporaryDirectory(prefix="switchhook-engine-") as folder:
        binary = Path(folder) / extension.FILE_NAME
        python = Path(folder) / "pjsua2.py"
        extension.build(pjsip, native, binary, steps)
        shutil.copyfile(pjsip.folder / python.name, python)
        extension.check_import(Path(folder), pjsip.version)
        wheel.write(destination, [binary, python], pjsip.folder / "COPYING", facts)
