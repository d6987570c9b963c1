from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from annoseq.data.pairs import align_pairs, read_pairs
from annoseq.deid.phi_types import Kind, Table
from annoseq.errors import OptionError
from tests.check.table import corpus

if TYPE_CHECKING:
    from pathlib import Path


def test_every_kind_says_how_it_propagates() -> None:
    assert set(Table.default().propagation) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("NAME:DOCTOR", "name"),
        ("DOCTOR", "name"),
        ("NAME:USERNAME", "username"),
        ("name:nurse", "name"),
        ("LOCATION:HOSPITAL", "hospital"),
        ("LOCATION:OTHER", "label"),
        ("CONTACT:EMAIL", "email"),
        ("ID:BIOID", "id"),
        ("DATE:FECHAS", "date"),
        ("FECHAS", "date"),
    ],
)
def test_a_label_is_looked_up_whole_and_in_parts(label: str, kind: str) -> None:
    assert Table.default().kind(label) == kind


def test_a_users_table_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(
        '[labels]\nPET = "name"\n"NAME:DOCTOR" = "label"\n'
        '[propagation]\nage = "whole"\n[words]\nnever = ["Rex"]\n'
    )
    table = Table.load(path)
    assert (table.kind("PET"), table.kind("NAME:DOCTOR")) == ("name", "label")
    assert table.kind("NAME:PATIENT") == "name"
    assert table.propagation["age"] == "whole"
    assert "rex" in table.never


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("labels = 1", r"found 'labels' at the top. Use the tables \[labels\]"),
        ("[other]", r"found 'other' at the top"),
        ('[labels]\nX = "nam"', r"\[labels\]: 'X' has the value 'nam'. Use one of name, username"),
        ('[labels]\n"a b" = "name"', r"'a b' cannot be a label: no white space"),
        ('[propagation]\nnam = "no"', r"\[propagation\]: 'nam' is no kind. Use one of name"),
        ('[propagation]\nname = "all"', r"'name' has the value 'all'. Use one of parts, whole, no"),
        ("[words]\nnever = 1", r"\[words\]: 'never' is none of the two lists of words"),
        ("[labels", r"this is not TOML: "),
        ("\udcff", r"this is not UTF-8 text. Save it as UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(OptionError, match=message):
        Table.load(path)


def test_a_table_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        Table.load(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["meddocan/pairs", "meddocan/pairs_hier", "asq_phi/pairs"])
def test_the_labels_of_the_shared_corpora_stand_for_something(name: str) -> None:
    path = corpus(f"{name}/dev.csv")
    pairs = read_pairs(path)[:400]
    Table.default().check({span.label for spans in align_pairs(pairs) for span in spans})
