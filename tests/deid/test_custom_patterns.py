from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.deid.custom_patterns import find_patterns, load_patterns
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = r"""
[ward]
label = "LOCATION:HOSPITAL"
pattern = 'ward (?P<value>\d+)'
ignore_case = true

["hospital number"]
label = "ID:MEDICALRECORD"
pattern = '\bHN\d{6}\b'
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "patterns.toml"
    path.write_text(content)
    return path


def test_patterns_find_what_they_say(tmp_path: Path) -> None:
    patterns = load_patterns(write(tmp_path, GOOD))
    text = "Ward 12, HN123456, hn123456"
    found = find_patterns(patterns, text, where="text 1")
    assert [(text[one.start : one.end], one.label, one.source, one.score) for one in found] == [
        ("12", "LOCATION:HOSPITAL", "pattern", None),
        ("HN123456", "ID:MEDICALRECORD", "pattern", None),
    ]


def test_nothing_is_not_found(tmp_path: Path) -> None:
    patterns = load_patterns(write(tmp_path, "[x]\nlabel = 'A'\npattern = 'a*'"))
    found = find_patterns(patterns, "baab", where="text 1")
    assert [(one.start, one.end) for one in found] == [(1, 3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"there is no pattern in it. Write for each a table \[name\]"),
        ("x = 1", r"\[x\] is no table. Write \[x\]"),
        ("[x]\nlabel = 'A'", r"\[x\]: pattern: Field required. Write label = "),
        ("[x]\npattern = 'A'", r"\[x\]: label: Field required. Write label = "),
        ("[x]\nlabel = 'A'\npattern = 'A'\nregex = 'A'", r"\[x\]: regex: Extra inputs are not"),
        ("[x]\nlabel = 'A'\npattern = 1", r"\[x\]: pattern: Input should be a valid string"),
        ("[x]\nlabel = 'A B'\npattern = 'A'", r"\[x\]: label: 'A B' has white space, braces or"),
        ("[x]\nlabel = 'A'\npattern = '('", r"\[x\]: this is not a regular expression: "),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        load_patterns(write(tmp_path, content))


def test_a_pattern_that_never_ends_is_stopped_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[endless]\nlabel = 'A'\npattern = '(a|aa)+$'")
    (pattern,) = load_patterns(path)
    with pytest.raises(OptionError, match=r"'endless' takes more than 0.05 seconds on text 7"):
        list(pattern.find("a" * 60 + "b", where="text 7", seconds=0.05))
