"""The wheel `switchhook-pjsip`: the extension, its Python side, and what it was made from.

`switchhook doctor` reads `engine.json` (EngineFacts) from the installed distribution.
"""

import base64
import hashlib
import json
import platform
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from recipe import libraries

DISTRIBUTION = "switchhook_pjsip"

TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""Of every file in the wheel, so that equal content is an equal wheel."""

METADATA = """\
Metadata-Version: 2.4
Name: switchhook-pjsip
Version: {version}
Summary: PJSIP (pjsua2) with Switchhook's native parts
License-Expression: GPL-3.0-or-later
License-File: COPYING
Requires-Python: =={python}.*
"""


def tag() -> str:
    """Interpreter, ABI and platform, such as `cp311-cp311-linux_x86_64`."""
    interpreter = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{interpreter}-{interpreter}-{re.sub('[-.]', '_', sysconfig.get_platform())}"


def limits(config_site: str) -> dict[str, int]:
    """The numbers that config_site.h defines, by name."""
    found = re.findall(r"^#define[ \t]+(\w+)[ \t]+(\d+)", config_site, re.M)
    return {name: int(value) for name, value in found}


@dataclass(frozen=True)
class EngineFacts:
    """The content of engine.json."""

    pjsip: str
    """PJSIP's version, such as "2.17"."""

    build: str
    """The wheel's version: PJSIP's, and the hash of all that the wheel was made from."""

    source_sha256: str
    python: str
    openssl_headers: str
    """The OpenSSL compiled against; at run time it may be a later 3.x."""

    limits: dict[str, int]
    """The numbers of config_site.h, by name."""


def engine_facts(pjsip_version: str, wheel_key: str, tarball: Path) -> EngineFacts:
    """The facts of a wheel made on this machine, now."""
    # A suffix such as "-dev" is no part of a wheel's version; the b keeps a hash of digits text.
    release = pjsip_version.partition("-")[0]
    openssl = subprocess.run(
        ["pkg-config", "--modversion", "openssl"], capture_output=True, text=True, check=True
    )
    return EngineFacts(
        pjsip=pjsip_version,
        build=f"{release}+b{wheel_key}",
        source_sha256=hashlib.sha256(tarball.read_bytes()).hexdigest(),
        python=platform.python_version(),
        openssl_headers=openssl.stdout.strip(),
        limits=limits(libraries.CONFIG_SITE.read_text()),
    )


def write(destination: Path, modules: list[Path], licence: Path, facts: EngineFacts) -> None:
    """Write the wheel of `modules` into the folder `destination`."""
    info = f"{DISTRIBUTION}-{facts.build}.dist-info"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    content = {path.name: path.read_bytes() for path in modules} | {
        f"{info}/METADATA": METADATA.format(version=facts.build, python=python).encode(),
        f"{info}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: switchhook\nRoot-Is-Purelib: false\nTag: {tag()}\n"
        ).encode(),
        f"{info}/engine.json": json.dumps(asdict(facts), indent=2).encode(),
        f"{info}/licenses/COPYING": licence.read_bytes(),
    }
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()

    wheel = destination / f"{DISTRIBUTION}-{facts.build}-{tag()}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
