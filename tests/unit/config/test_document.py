"""The YAML of the files: what it means, and what is refused."""

from __future__ import annotations

import pytest

from config.document import Document
from config.errors import ConfigError


def problem_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Document.parse(text, "file")
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("486", 486),
        ("-1", -1),
        ("0", 0),
        ("2.5", 2.5),
        ("+493012345", "+493012345"),
        ("0815", "0815"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("2026-01-01", "2026-01-01"),
        ("12345678901234567890", "12345678901234567890"),
        ("'486'", "486"),
        ("<<", "<<"),
    ],
)
def test_a_value_means_what_it_looks_like(written: str, meant: object) -> None:
    value = Document.parse(f"key: {written}", "file").value["key"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("key", ["on", "yes", "null", "486", "5.0", "<<"])
def test_a_key_is_the_text_that_is_written(key: str) -> None:
    assert Document.parse(f"{key}: value", "file").value == {key: "value"}


def test_a_key_that_stands_twice() -> None:
    document = Document.parse('one: {486: a,\n  "486": b}\n', "file")
    assert document.value == {"one": {"486": "a"}}
    assert [str(problem) for problem in document.problems] == [
        "file:2:3: one.486: the same key twice. It stands in line 1 already: remove one of the two"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "file:1:9: is not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "file:1:5: is not valid YAML: mapping values are not allowed here"),
        (
            "a: &x 1",
            (
                "file:1:4: is not valid YAML: anchors and aliases are not supported "
                "(a text with `*` or `&` first needs quotes)"
            ),
        ),
        (
            "a: *x",
            (
                "file:1:4: is not valid YAML: anchors and aliases are not supported "
                "(a text with `*` or `&` first needs quotes)"
            ),
        ),
        (
            "a: !!python/name:os.system x",
            (
                "file:1:4: is not valid YAML: tags are not supported "
                "(a text with `!` first needs quotes)"
            ),
        ),
        ("[" * 40, "file:1:31: is not valid YAML: nested deeper than 30 levels"),
        ("a: 1\n---\nb: 2", "file:2:1: is not valid YAML: but found another document"),
        (
            'a: "\\UFFFFFFFF"',
            "file:1:7: is not valid YAML: an escape that stands for no character",
        ),
        ("a: 1\nb: \x07", "file:2:4: the character U+0007 is not allowed in YAML"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert problem_of(text) == problem


def test_half_a_surrogate_pair_is_no_character() -> None:
    document = Document.parse('a: "\\uD800"', "file")
    assert [str(problem) for problem in document.problems] == [
        "file:1:4: a: has half a surrogate pair, which is no character. Write the character itself"
    ]


def test_a_key_must_be_text() -> None:
    document = Document.parse("? [a]\n: b\n", "file")
    assert [str(problem) for problem in document.problems] == ["file:1:3: a key must be text"]
