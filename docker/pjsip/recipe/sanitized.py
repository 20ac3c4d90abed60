"""The engine with a sanitizer in sip/native, for tests: a folder to put first on PYTHONPATH.

PJSIP and Python stay as they are. The sanitizer still sees their malloc, memcpy and mutexes, and
watches every access that our own C makes.
"""

import shutil
import subprocess
from pathlib import Path

from recipe import cache, engine, extension, libraries, source
from recipe.failure import RecipeError
from recipe.steps import Steps

FLAGS = {
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1"),
    "thread": ("-fsanitize=thread", "-g1"),
}
"""By what is looked for: memory errors and undefined behaviour, or data races."""

RUNTIMES = {"address": "libasan.so", "thread": "libtsan.so"}


def build(kind: str, native: Path) -> Path:
    """Build the modules where they are not in the cache; returns their folder."""
    engine.build(native)
    store = cache.folder()
    with cache.locked(store):
        tarball = source.named_tarball() or store / "pjproject.tar"
        libraries_key = libraries.key(tarball)
        key = cache.key([Path(__file__)], [extension.key(libraries_key, native), kind])
        finished = store / f"sanitized-{key}"
        if not finished.is_dir():
            steps = Steps(1, store / "build.log")
            with (
                steps.step(f"sip/native with -fsanitize={kind}"),
                cache.filled(finished) as folder,
            ):
                pjsip = libraries.read(store / f"pjsip-{libraries_key}")
                target = folder / extension.FILE_NAME
                extension.build(pjsip, native, target, steps, FLAGS[kind])
                shutil.copyfile(pjsip.folder / "pjsua2.py", folder / "pjsua2.py")
            cache.keep_newest(store, "sanitized-*")
        return finished


def runtime(kind: str) -> str:
    """What LD_PRELOAD has to name: Python itself is linked with neither library.

    With libstdc++ loaded later the sanitizer would not find what C++ throws exceptions by.
    """
    found = []
    for name in (RUNTIMES[kind], "libstdc++.so"):
        path = subprocess.run(
            ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if path == name:
            raise RecipeError(
                f"gcc has no {name}: install libgcc-dev and libstdc++-dev of its version."
            )
        found.append(str(Path(path).resolve()))
    return ":".join(found)
