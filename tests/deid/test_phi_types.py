from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import read_pairs
from annoseq.deid.phi_types import PhiType, PhiTypeTable
from annoseq.errors import OptionError
from tests.check.table import corpus

if TYPE_CHECKING:
    from pathlib import Path


def test_every_phi_type_has_a_propagation_rule() -> None:
    assert set(PhiTypeTable.default().propagation) == set(get_args(PhiType))


@pytest.mark.parametrize(
    ("label", "phi_type"),
    [
        ("NAME:DOCTOR", "name"),
        ("DOCTOR", "name"),
        ("NAME:USERNAME", "username"),
        ("name:nurse", "name"),
        ("LOCATION:HOSPITAL", "hospital"),
        ("LOCATION:OTHER", "other"),
        ("CONTACT:EMAIL", "email"),
        ("ID:BIOID", "id"),
        ("CONTACT:PHONE", "phone"),
        ("LOCATION:ZIP", "zip"),
        ("DATE:FECHAS", "date"),
        ("FECHAS", "date"),
    ],
)
def test_a_label_is_looked_up_whole_and_in_parts(label: str, phi_type: str) -> None:
    assert PhiTypeTable.default().phi_type(label) == phi_type


def test_a_users_table_takes_precedence(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(
        '[labels]\nPET = "name"\n"NAME:DOCTOR" = "other"\n'
        '[propagation]\nage = "whole"\n[words]\nnever = ["Rex"]\n'
    )
    table = PhiTypeTable.load(path)
    assert (table.phi_type("PET"), table.phi_type("NAME:DOCTOR")) == ("name", "other")
    assert table.phi_type("NAME:PATIENT") == "name"
    assert table.propagation["age"] == "whole"
    assert "rex" in table.never


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("labels = 1", r"found 'labels' at the top. Use the tables \[labels\]"),
        ("[other]", r"found 'other' at the top"),
        ('[labels]\nX = "unknown"', r"'X' has the value 'unknown'. Use one of name, username"),
        ('[labels]\nX = "nam"', r"\[labels\]: 'X' has the value 'nam'. Use one of name, username"),
        ('[labels]\n"a b" = "name"', r"'a b' cannot be a label: no white space"),
        ('[propagation]\nnam = "no"', r"\[propagation\]: 'nam' is no PHI type. Use one of name"),
        ('[propagation]\nname = "all"', r"'name' has the value 'all'. Use one of parts, whole, no"),
        ("[words]\nnever = 1", r"\[words\]: 'never' is none of the two lists of words"),
        ("[labels", r"this is not TOML: "),
        ("\udcff", r"this is not UTF-8 text. Save it as UTF-8"),
    ],
)
def test_invalid_tables_are_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(OptionError, match=message):
        PhiTypeTable.load(path)


def test_a_table_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        PhiTypeTable.load(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["meddocan/pairs", "meddocan/pairs_hier", "asq_phi/pairs"])
def test_the_labels_of_the_shared_corpora_have_phi_types(name: str) -> None:
    path = corpus(f"{name}/dev.csv")
    examples = parse_pairs(read_pairs(path)[:400]).examples
    PhiTypeTable.default().check_labels(
        {span.label for example in examples for span in example.spans or ()}
    )
