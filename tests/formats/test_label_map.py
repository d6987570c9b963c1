from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document
from annoseq.formats.label_map import LabelMap, find_case_twins
from tests.formats.documents import mention

if TYPE_CHECKING:
    from pathlib import Path

MAP = """drop = ["AGE", "none"]

[rename]
"NAME:DOCTOR" = "NAME"
PATIENT = "NAME"
"""


def load(content: str, folder: Path) -> LabelMap:
    path = folder / "labels.toml"
    path.write_text(content)
    return LabelMap.load(path)


def test_labels_are_renamed_merged_and_dropped(tmp_path: Path) -> None:
    losses = ConversionLosses()
    labels = ("NAME:DOCTOR", "PATIENT", "AGE", "DATE")
    document = Document("d", "abcd", tuple(mention(i, i + 1, x) for i, x in enumerate(labels)))
    mapped = load(MAP, tmp_path)
    found = mapped.apply(document, losses)
    assert found.mentions == (mention(0, 1, "NAME"), mention(1, 2, "NAME"), mention(3, 4, "DATE"))
    mapped.note_unseen(losses)
    assert losses.lines() == [
        "1 annotation of the label AGE, dropped by --map (first: d)",
        f"1 label of the map that no document has: none (first: {tmp_path / 'labels.toml'})",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("renam = 1", "the key renam is not known. Write drop ="),
        ("rename = 1", "drop is no list, or rename no table"),
        ('drop = "A"', "drop is no list, or rename no table"),
        ("[rename]\nA = 1", "a label is empty, or no text"),
        ('drop = [""]', "a label is empty, or no text"),
        ('drop = ["A"]\n[rename]\nA = "B"', "the label A is both renamed and dropped"),
        ("a", "this is not TOML"),
        ("a = " + "[" * 50_000, "its values are nested too deeply"),
        ("a = " + "9" * 5_000, "a number has too many digits"),
    ],
)
def test_a_bad_map_is_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        load(content, tmp_path)
    assert str(caught.value).startswith(f"--map {tmp_path / 'labels.toml'}: {message}")


def test_labels_that_differ_in_case_only_are_found() -> None:
    assert find_case_twins(["NAME", "Date", "name", "DATE", "AGE"]) == [
        ["DATE", "Date"],
        ["NAME", "name"],
    ]
