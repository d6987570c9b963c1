"""Lexicons of open data: diseases of ontologies and MedQuAD, and towns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import public_lexicons

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_ONTOLOGY = r"""
format-version: 1.2

[Term]
id: DOID:1
name: ataxia telangiectasia [disease]
def: "A disease with a \"name: of\" its own." []
synonym: "Louis-Bar \"syndrome\"" EXACT []
synonym: "AT" EXACT OMO:0003012 []
synonym: "ataxia" BROAD []
"""
_DOCUMENT = """
<Document><Focus>{focus}</Focus>
<SemanticGroup>{group}</SemanticGroup><Synonym>{focus} (rare)</Synonym><Synonym/>
<Answer>It is rare.</Answer></Document>
"""


def test_names_and_acronyms_of_diseases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "terms.obo").write_text(_ONTOLOGY)
    clone = tmp_path / "clone" / "1_QA"
    clone.mkdir(parents=True)
    for number, (focus, group) in enumerate({"Gout": "Disorders", "Aspirin": "Drugs"}.items()):
        (clone / f"{number}.xml").write_text(_DOCUMENT.format(focus=focus, group=group))
    options = ["--obo", str(tmp_path / "terms.obo"), "--medquad", str(clone.parent)]
    names, acronyms = tmp_path / "names.txt", tmp_path / "acronyms.txt"
    assert public_lexicons.main([*options, "--names", str(names), "--acronyms", str(acronyms)]) == 0
    assert names.read_text() == 'Gout\nLouis-Bar "syndrome"\nataxia telangiectasia\n'
    assert acronyms.read_text() == "AT\n"
    assert "names: 3; acronyms: 1" in capsys.readouterr().err


def test_towns_in_each_of_their_languages(tmp_path: Path) -> None:
    table, names = tmp_path / "municipios.csv", tmp_path / "towns.txt"
    table.write_text('cmun,nombre\n1,Agurain/Salvatierra\n2,"Ausines, Los"\n', encoding="utf-8-sig")
    assert public_lexicons.main(["--municipalities", str(table), "--names", str(names)]) == 0
    assert names.read_text() == "Agurain\nLos Ausines\nSalvatierra\n"
