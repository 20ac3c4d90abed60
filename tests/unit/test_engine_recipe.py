"""The recipe of the PJSIP engine (docker/pjsip): what it refuses, and what makes it build again."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recipe import cache, engine, extension, libraries, packages, source, wheel
from recipe.failure import RecipeError
from recipe.steps import FAILURE_LINES, Steps

VERSION_MAK = """\
# Don't change the "export PJ_VERSION_xxx" style, they are parsed by setup.py
export PJ_VERSION_MAJOR  := {major}
export PJ_VERSION_MINOR  := {minor}
export PJ_VERSION_REV    := {rev}
export PJ_VERSION_SUFFIX := {suffix}

export PJ_VERSION := $(PJ_VERSION_MAJOR).$(PJ_VERSION_MINOR)
"""


def version_mak(major: str, minor: str, rev: str = "", suffix: str = "") -> str:
    return VERSION_MAK.format(major=major, minor=minor, rev=rev, suffix=suffix)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(6, tmp_path / "build.log", io.StringIO())


@pytest.fixture
def native(tmp_path: Path) -> Path:
    folder = tmp_path / "native"
    folder.mkdir()
    (folder / "native.h").write_text("int answer(void);\n")
    (folder / "module.c").write_text('#include "native.h"\nint answer(void) { return 200; }\n')
    return folder


class TestVersion:
    @pytest.mark.parametrize(
        ("stated", "version"),
        [
            (version_mak("2", "17"), "2.17"),
            (version_mak("2", "17", rev="1"), "2.17.1"),
            (version_mak("2", "18", suffix="-dev"), "2.18-dev"),
            (version_mak("3", "0"), "3.0"),
        ],
    )
    def test_fit(self, stated: str, version: str) -> None:
        assert source.fit_version(stated) == version

    @pytest.mark.parametrize(("major", "minor"), [("2", "16"), ("2", "9"), ("1", "99")])
    def test_too_old_is_refused_with_the_reason(self, major: str, minor: str) -> None:
        with pytest.raises(RecipeError, match=rf"is PJSIP {major}\.{minor}\.1; .* needs 2\.17"):
            source.fit_version(version_mak(major, minor, rev="1"))

    def test_no_version_is_refused(self) -> None:
        with pytest.raises(RecipeError, match="states no version"):
            source.fit_version("export OTHER := 1\n")

    def test_tarball_of_something_else_is_refused(self, tmp_path: Path, steps: Steps) -> None:
        tree = tmp_path / "project-1.0"
        tree.mkdir()
        (tree / "README").write_text("something else")
        tarball = tmp_path / "project.tar"
        subprocess.run(["tar", "-cf", tarball, "-C", tmp_path, tree.name], check=True)
        unpacked = tmp_path / "unpacked"
        unpacked.mkdir()
        with pytest.raises(RecipeError, match="not a source of PJSIP"):
            source.unpack(tarball, unpacked, steps)


class TestWhereTheSourceComesFrom:
    def test_mirror_is_the_machines_own(self) -> None:
        listing = (
            "Packages Debian Debian-Security main https://security.example/debian-security/\n"
            "Translations Debian Debian main https://mirror.example/debian/\n"
            "Packages Somebody Debian main https://elsewhere.example/\n"
            "Packages Debian Debian main https://mirror.example/debian/\n"
        )
        assert source.mirror_in(listing) == "https://mirror.example/debian/"

    def test_without_lists_it_says_how_to_get_them(self) -> None:
        with pytest.raises(RecipeError, match=r"apt-get update.*PJPROJECT_TARBALL"):
            source.mirror_in("")

    def test_named_tarball_must_be_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PJPROJECT_TARBALL", str(tmp_path / "absent.tar.gz"))
        with pytest.raises(RecipeError, match=r"absent\.tar\.gz, which is not a file"):
            source.named_tarball()

    def test_no_name_no_tarball(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PJPROJECT_TARBALL", raising=False)
        assert source.named_tarball() is None


class TestPackages:
    def test_missing_ones_are_named_with_the_command(self) -> None:
        status = "swig installed\nlibopus-dev config-files\n"
        with pytest.raises(RecipeError) as refusal:
            packages.refuse_missing(["swig", "libopus-dev", "uuid-dev"], status)
        assert "missing: libopus-dev uuid-dev\n" in str(refusal.value)
        assert "--no-install-recommends libopus-dev uuid-dev" in str(refusal.value)

    def test_nothing_missing(self) -> None:
        packages.refuse_missing(["swig"], "swig installed\n")

    def test_list_without_comments(self) -> None:
        names = packages.listed(engine.PACKAGES)
        assert "swig" in names
        assert not [name for name in names if "#" in name or " " in name]


class TestKeys:
    """A result is found again exactly as long as nothing that it was made from has changed."""

    def test_same_content_same_key(self, native: Path) -> None:
        assert extension.key("libraries", native) == extension.key("libraries", native)

    def test_changed_source(self, native: Path) -> None:
        before = extension.key("libraries", native)
        (native / "module.c").write_text("int answer(void) { return 486; }\n")
        assert extension.key("libraries", native) != before

    def test_changed_header(self, native: Path) -> None:
        before = extension.key("libraries", native)
        (native / "native.h").write_text("long answer(void);\n")
        assert extension.key("libraries", native) != before

    def test_added_source(self, native: Path) -> None:
        before = extension.key("libraries", native)
        (native / "another.c").write_text("")
        assert extension.key("libraries", native) != before

    def test_renamed_source(self, native: Path) -> None:
        before = extension.key("libraries", native)
        (native / "module.c").rename(native / "renamed.c")
        assert extension.key("libraries", native) != before

    def test_other_libraries(self, native: Path) -> None:
        assert extension.key("one", native) != extension.key("other", native)

    def test_files_are_told_apart(self, tmp_path: Path) -> None:
        """Moving text from one file to the next is a change."""
        first, second = tmp_path / "a.c", tmp_path / "b.c"
        first.write_text("xy")
        second.write_text("z")
        before = cache.key([first, second], [])
        first.write_text("x")
        second.write_text("yz")
        assert cache.key([first, second], []) != before

    def test_other_tools(self, native: Path) -> None:
        files = extension.sources(native)
        assert cache.key(files, ["gcc 12"]) != cache.key(files, ["gcc 13"])

    def test_no_sources(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="holds no C sources"):
            extension.sources(tmp_path)


class TestCache:
    def test_follows_xdg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache.folder() == tmp_path / "switchhook" / "engine"

    def test_interrupted_build_leaves_nothing_that_looks_finished(self, tmp_path: Path) -> None:
        finished = tmp_path / "pjsip-key"
        with pytest.raises(KeyboardInterrupt), cache.filled(finished) as folder:  # noqa: PT012
            (folder / "half").touch()
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []
        with cache.filled(finished) as folder:
            (folder / "whole").touch()
        assert [path.name for path in finished.iterdir()] == ["whole"]

    def test_stays_bounded(self, tmp_path: Path) -> None:
        for age in range(cache.KEPT + 3):
            folder = tmp_path / f"wheel-{age}"
            folder.mkdir()
            os.utime(folder, (1000 - age, 1000 - age))
        (tmp_path / "pjsip-old").mkdir()
        cache.keep_newest(tmp_path, "wheel-*")
        kept = {f"wheel-{age}" for age in range(cache.KEPT)}
        assert {path.name for path in tmp_path.iterdir()} == {*kept, "pjsip-old"}


class TestSteps:
    def test_failing_tool_shows_the_end_of_its_own_output(
        self, steps: Steps, tmp_path: Path
    ) -> None:
        script = "for n in $(seq 50); do echo line $n; done; exit 3"
        steps.run(["echo", "of an earlier tool"])
        with pytest.raises(RecipeError) as refusal:
            steps.run(["sh", "-c", script])
        report = str(refusal.value).splitlines()
        assert report[0] == "sh failed with exit code 3."
        assert str(tmp_path / "build.log") in report[1]
        shown = [f"    line {n}" for n in range(51 - FAILURE_LINES, 51)]
        assert report[2:] == shown

    def test_without_a_terminal_each_step_is_plain_lines(self, tmp_path: Path) -> None:
        screen = io.StringIO()
        steps = Steps(3, tmp_path / "build.log", screen)
        steps.cached("Source", count=2)
        with steps.step("Compiling"):
            pass
        lines = screen.getvalue().splitlines()
        assert lines[:2] == ["[2/3] Source: cached", "[3/3] Compiling: …"]
        assert lines[2].startswith("[3/3] Compiling: ")
        assert lines[2].endswith(" s")
        assert "\r" not in screen.getvalue()

    def test_failed_step_is_marked(self, tmp_path: Path) -> None:
        screen = io.StringIO()
        steps = Steps(1, tmp_path / "build.log", screen)
        with pytest.raises(RecipeError), steps.step("Compiling"):
            raise RecipeError("no compiler")
        assert screen.getvalue().splitlines()[-1] == "[1/1] Compiling: failed"


class TestWheel:
    def test_pip_takes_it_and_the_facts_are_inside(self, tmp_path: Path) -> None:
        module, licence = tmp_path / "pjsua2.py", tmp_path / "COPYING"
        module.write_text("LOADED = True\n")
        licence.write_text("the licence")
        facts = wheel.EngineFacts("2.17", "2.17+b0", "ab", "3.11.2", "3.0.1", {"CALLS": 4})
        wheel.write(tmp_path, [module], licence, facts)
        built = tmp_path / f"switchhook_pjsip-2.17+b0-{wheel.tag()}.whl"
        target = tmp_path / "installed"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-index", "--no-deps", "--target", target, built], check=True)
        assert (target / "pjsua2.py").read_text() == "LOADED = True\n"
        info = target / "switchhook_pjsip-2.17+b0.dist-info"
        assert json.loads((info / "engine.json").read_text())["limits"] == {"CALLS": 4}
        assert (info / "licenses" / "COPYING").read_text() == "the licence"

    def test_equal_content_is_an_equal_file(self, tmp_path: Path) -> None:
        module, licence = tmp_path / "pjsua2.py", tmp_path / "COPYING"
        module.write_text("")
        licence.write_text("")
        facts = wheel.EngineFacts("2.17", "2.17+b0", "ab", "3.11.2", "3.0.1", {})
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            wheel.write(tmp_path / name, [module], licence, facts)
            made.append(next((tmp_path / name).iterdir()).read_bytes())
        assert made[0] == made[1]
        assert zipfile.is_zipfile(io.BytesIO(made[0]))

    def test_limits_are_those_of_config_site(self) -> None:
        limits = wheel.limits(libraries.CONFIG_SITE.read_text())
        assert limits["PJSUA_MAX_CALLS"] == 4096
        assert limits["PJ_HAS_IPV6"] == 0


class TestConfigSite:
    """Settings that have cost others a gateway stay as they are decided (docs/decisions/0001)."""

    def test_no_dtls(self) -> None:
        assert "#define PJMEDIA_SRTP_HAS_DTLS" not in libraries.CONFIG_SITE.read_text()

    def test_conference_ports_hold_every_call_twice(self) -> None:
        limits = wheel.limits(libraries.CONFIG_SITE.read_text())
        assert limits["PJSUA_MAX_CONF_PORTS"] >= 2 * limits["PJSUA_MAX_CALLS"]
