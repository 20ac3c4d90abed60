"""Secrets: read where the configuration says, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import SecretError
from config.secrets import Secret, resolve


def test_from_the_environment() -> None:
    assert resolve(Secret(env="TOKEN"), {"TOKEN": "hunter2"}) == "hunter2"


def test_from_a_file_without_the_line_break_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(" hunter2 \n", encoding="utf-8")
    assert resolve(Secret(file=path)) == " hunter2 "


def test_a_variable_that_is_not_set_or_empty() -> None:
    for environ in ({}, {"TOKEN": ""}):
        with pytest.raises(SecretError, match=r"^the environment variable TOKEN is not set, or"):
            resolve(Secret(env="TOKEN"), environ)


def test_a_file_that_is_missing_empty_or_no_text(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(SecretError, match=r"token cannot be read: No such file"):
        resolve(Secret(file=path))
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(SecretError, match=r"token is empty"):
        resolve(Secret(file=path))
    path.write_bytes(b"hunter2\xff")
    with pytest.raises(SecretError, match=r"token is not UTF-8 text") as caught:
        resolve(Secret(file=path))
    assert "hunter2" not in repr(caught.value)


def test_what_is_not_one_line_of_text(tmp_path: Path) -> None:
    """It would be another header where the secret is sent in one."""
    path = tmp_path / "token"
    path.write_bytes(b"hunter2\r\nX-Admin: yes\n")
    for secret in (Secret(file=path), Secret(env="TOKEN")):
        with pytest.raises(SecretError, match=r"has a line break, or something") as caught:
            resolve(secret, {"TOKEN": "hunter2\nX-Admin: yes"})
        assert "hunter2" not in repr(caught.value)
