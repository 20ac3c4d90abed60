#!/usr/bin/env python3
"""Build Switchhook's SIP engine: PJSIP 2.17 or later and sip/native, as one wheel.

    build.py                  prints the wheel's path; progress goes to stderr
    build.py --output DIR     copies the wheel into DIR
    build.py --sanitize address|thread
                              prints LD_PRELOAD and the folder of the modules, for tests

The wheel is for the Python that runs this script. recipe/engine.py shows the order of things, and
recipe/cache.py what is kept between builds and where.
"""

import argparse
import shutil
import sys
from pathlib import Path

from recipe import engine, sanitized
from recipe.failure import RecipeError


def main() -> int:
    arguments = argparse.ArgumentParser(description="Build the wheel of Switchhook's SIP engine.")
    arguments.add_argument("--output", type=Path, help="folder that the wheel is copied into")
    arguments.add_argument(
        "--native", type=Path, default=engine.NATIVE, help="folder of the C sources"
    )
    arguments.add_argument("--sanitize", choices=sorted(sanitized.FLAGS), help="build for tests")
    options = arguments.parse_args()
    try:
        if options.sanitize:
            print(sanitized.runtime(options.sanitize))
            print(sanitized.build(options.sanitize, options.native))
            return 0
        wheel = engine.build(options.native)
    except RecipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        wheel = Path(shutil.copy2(wheel, options.output))
    print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
