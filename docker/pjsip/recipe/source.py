"""Where the source of PJSIP comes from.

Debian's source package `asterisk` carries the release of PJSIP that it is built with as a component
of its own, `…orig-Xpjproject.tar.*`, under the archive's signature. The mirror is the one that this
machine's apt already uses; apt's own state stays untouched. `PJPROJECT_TARBALL` names another
tarball instead.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from recipe.failure import RecipeError
from recipe.steps import Steps

MINIMUM = (2, 17)
"""Before 2.16 the epoll handle is out of reach, and 2.17 carries fixes that a public port needs."""

SOURCE_PACKAGE = "asterisk"
SUITE = "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

ANOTHER_WAY = "Or set PJPROJECT_TARBALL=/path/to/pjproject.tar.gz (2.17 or later)."


def named_tarball() -> Path | None:
    """The tarball that PJPROJECT_TARBALL names, if it is set."""
    name = os.environ.get("PJPROJECT_TARBALL", "")
    if not name:
        return None
    tarball = Path(name).expanduser().resolve()
    if not tarball.is_file():
        raise RecipeError(f"PJPROJECT_TARBALL names {tarball}, which is not a file.")
    return tarball


def download(destination: Path, steps: Steps) -> None:
    """Fetch the tarball from the Debian archive to `destination`, checked by apt's signatures."""
    if shutil.which("apt-get") is None:
        raise RecipeError(
            f"the source of PJSIP is had with apt-get, which is not here. {ANOTHER_WAY}"
        )
    if not KEYRING.is_file():
        raise RecipeError(
            f"{KEYRING} is missing: install the package debian-archive-keyring. {ANOTHER_WAY}"
        )
    with tempfile.TemporaryDirectory(prefix="switchhook-source-") as folder:
        work = Path(folder)
        work.chmod(0o755)  # apt drops to its own user to read what it downloads
        sources = work / "sources.list"
        sources.write_text(f"deb-src [signed-by={KEYRING}] {debian_mirror()} {SUITE} main\n")
        apt = ["apt-get", "-q", *_apart(work, sources)]
        steps.run([*apt, "update"], cwd=work)
        steps.run([*apt, "source", "--download-only", SOURCE_PACKAGE], cwd=work)
        found = sorted(work.glob("*.orig-Xpjproject.tar.*"))
        tarballs = [path for path in found if path.suffix != ".asc"]
        if not tarballs:
            raise RecipeError(
                f"Debian's source package {SOURCE_PACKAGE} ({SUITE}) has no component Xpjproject "
                f"any more. {ANOTHER_WAY}"
            )
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_suffix(".partial")
        shutil.copyfile(tarballs[-1], partial)
        partial.replace(destination)


def _apart(work: Path, sources: Path) -> list[str]:
    """Options that keep apt's state for this one download inside `work`."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def debian_mirror() -> str:
    """The address of the Debian archive in this machine's apt configuration."""
    listing = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(CREATED_BY) $(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return mirror_in(listing)


def mirror_in(listing: str) -> str:
    """The first Debian archive in the output of `apt-get indextargets` (see debian_mirror)."""
    for line in listing.splitlines():
        created_by, _, rest = line.partition(" ")
        # LABEL "Debian" leaves out the security archive, which has no sid.
        if created_by == "Packages" and rest.startswith("Debian Debian main "):
            return rest.removeprefix("Debian Debian main ")
    raise RecipeError(
        "apt on this machine lists no Debian archive. On Debian, `apt-get update` (as root) "
        f"brings the lists. {ANOTHER_WAY}"
    )


def unpack(tarball: Path, destination: Path, steps: Steps) -> str:
    """Unpack into the empty folder `destination`; the version, or RecipeError if it is unfit."""
    steps.run(["tar", "-xf", tarball, "--strip-components=1", "-C", destination])
    version_file = destination / "version.mak"
    if not version_file.is_file():
        raise RecipeError(f"{tarball} holds no version.mak: it is not a source of PJSIP.")
    return fit_version(version_file.read_text())


def fit_version(version_mak: str) -> str:
    """The version that PJSIP's version.mak states, such as "2.17"; RecipeError below MINIMUM."""
    parts: dict[str, str] = dict(
        re.findall(r"^export PJ_VERSION_(\w+)[ \t]*:=[ \t]*(\S*)", version_mak, re.M)
    )
    try:
        version = (int(parts["MAJOR"]), int(parts["MINOR"]))
    except (KeyError, ValueError):
        raise RecipeError("the source's version.mak states no version of PJSIP.") from None
    text = ".".join(str(number) for number in version)
    text += f".{parts['REV']}" if parts.get("REV") else ""
    if version < MINIMUM:
        raise RecipeError(
            f"this source is PJSIP {text}; Switchhook needs {MINIMUM[0]}.{MINIMUM[1]} or later "
            "(its epoll handle, and fixes that a public SIP port cannot do without)."
        )
    return text + parts.get("SUFFIX", "")
