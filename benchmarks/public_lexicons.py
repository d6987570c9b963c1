"""Lexicons of open data, for `benchmarks.unlabelled --lexicon`.

Diseases are the names and exact synonyms of OBO files, such as those of
https://github.com/DiseaseOntology/HumanDiseaseOntology (CC0), and of the documents of
https://github.com/abachaa/MedQuAD (CC BY 4.0), without what is in brackets. Towns are the
municipalities of Spain of a table of the national institute of statistics, such as
https://github.com/codeforspain/ds-organizacion-administrativa. Words in capitals are acronyms,
which are a lexicon of their own: matches disregard case, and `AS` is a word too.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml import ElementTree

from annoseq.atomic_io import atomic_file
from benchmarks.budget import log
from benchmarks.command import command_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_OBO_NAME = re.compile(r'^(?:name: (.+)|synonym: "((?:[^"\\]|\\.)+)" EXACT)', re.MULTILINE)
_BRACKETS = re.compile(r"\s*[(\[].*?[)\]]")
_ACRONYM = re.compile(r"[A-Z0-9-]+")
_ARTICLE_LAST = re.compile(r"(.+), (\S+)")
_DISORDERS = "Disorders"
"""Group of MedQuAD's documents on diseases; others are on drugs and tests."""


def read_obo(path: Path) -> Iterator[str]:
    """Yield the names and the exact synonyms of the terms of an OBO file."""
    for match in _OBO_NAME.finditer(path.read_text(encoding="utf-8")):
        name, synonym = match.groups()
        yield name or re.sub(r"\\(.)", r"\1", synonym)


def read_medquad_diseases(folder: Path) -> Iterator[str]:
    """Yield the diseases of MedQuAD, and their synonyms."""
    for path in sorted(folder.rglob("*.xml")):
        document = ElementTree.parse(path)
        if document.findtext(".//SemanticGroup") == _DISORDERS:
            for node in document.iter():
                if node.tag in ("Focus", "Synonym"):
                    yield node.text or ""


def read_municipalities(path: Path) -> Iterator[str]:
    """Yield the names of a table's column `nombre`, in each of their languages."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            yield from map(article_first, row["nombre"].split("/"))


def article_first(name: str) -> str:
    """Return a name with its article before it.

    >>> [article_first(name) for name in ("Ausines, Los", "Alcúdia, l'", "Añana")]
    ['Los Ausines', "l'Alcúdia", 'Añana']
    """
    if not (parts := _ARTICLE_LAST.fullmatch(name)):
        return name
    noun, article = parts.groups()
    return f"{article}{noun}" if article.endswith("'") else f"{article} {noun}"


def split_acronyms(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return names and acronyms in alphabetical order, each once and without brackets.

    >>> split_acronyms(["Ataxia (disease)", "Ataxia", "HD", "DM [type 1]"])
    (['Ataxia'], ['DM', 'HD'])
    """
    plain = sorted({_BRACKETS.sub("", name).strip() for name in names} - {""})
    acronyms = [name for name in plain if _ACRONYM.fullmatch(name)]
    return [name for name in plain if not _ACRONYM.fullmatch(name)], acronyms


def main(given: Sequence[str] | None = None) -> int:
    """Write the lexicons."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.public_lexicons", description=__doc__
    )
    add = parser.add_argument
    add("--obo", nargs="*", default=[], type=Path, help="ontologies of diseases, as OBO")
    add("--medquad", nargs="*", default=[], type=Path, help="clone of MedQuAD")
    add("--municipalities", nargs="*", default=[], type=Path, help="CSV with the column nombre")
    add("--names", type=Path, required=True, help="lexicon of names to write")
    add("--acronyms", type=Path, help="lexicon of acronyms to write")
    options = parser.parse_args(command_line(given))
    sources = (
        *map(read_obo, options.obo),
        *map(read_medquad_diseases, options.medquad),
        *map(read_municipalities, options.municipalities),
    )
    lexicons = split_acronyms(chain.from_iterable(sources))
    for path, entries in zip((options.names, options.acronyms), lexicons, strict=True):
        if path is not None:
            with atomic_file(path, overwrite=False) as new:
                new.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    log("names: {:,}; acronyms: {:,}".format(*map(len, lexicons)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
