"""Unlabelled sentences of documents, for `benchmarks.unlabelled`.

From the `.txt` and `.conllu` files of folders, such as clones of
https://github.com/openbiocorpora/anatem and https://github.com/openbiocorpora/bionlp-st-2013-cg, or
the `dep` of https://github.com/amir-zeldes/gum, from the `ori_pqal.json` of
https://github.com/pubmedqa/pubmedqa, from files of BioASQ's questions, such as those of
https://github.com/bioinformatics-ua/BioASQ9b, and from the answers of
https://github.com/abachaa/MedQuAD. Documents with a sentence of the corpora's dev rows are left
out, and so are sentences of their training rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml import ElementTree

from annoseq.atomic_io import atomic_file
from benchmarks.budget import log
from benchmarks.command import command_line
from benchmarks.dev_scores import CORPORA
from benchmarks.meddocan import FOLDER
from benchmarks.tagger_runs import read_corpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CORPORA = ("bc5cdr", "ncbi_disease")
_CONLLU_TEXT = "# text = "
_MEDQUAD_TAGS = ("Focus", "Synonym", "Answer")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9(\"'])")
_SHORTEST, _LONGEST = 30, 600
_SIGNIFICANT = 20
"""Letters and digits from which on a sentence tells which document it is of."""


def read_folders(folders: Iterable[Path]) -> Iterator[str]:
    """Yield the texts of `.txt` and `.conllu` files."""
    for folder in folders:
        for path in sorted(folder.rglob("*.txt")):
            yield path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.conllu")):
            lines = path.read_text(encoding="utf-8").splitlines()
            yield "\n".join(
                line.removeprefix(_CONLLU_TEXT) for line in lines if line.startswith(_CONLLU_TEXT)
            )


def read_pubmedqa(path: Path) -> Iterator[str]:
    """Yield the texts of the entries of PubMedQA."""
    for entry in json.loads(path.read_text(encoding="utf-8")).values():
        yield "\n".join([entry["QUESTION"], *entry["CONTEXTS"], entry["LONG_ANSWER"]])


def read_bioasq(paths: Iterable[Path]) -> Iterator[str]:
    """Yield what files of BioASQ quote of every abstract, the quotations of one together."""
    quoted: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        for question in json.loads(path.read_text(encoding="utf-8"))["questions"]:
            for snippet in question.get("snippets", ()):
                quoted[snippet["document"]].append(snippet["text"])
    yield from map("\n".join, quoted.values())


def read_medquad(folder: Path) -> Iterator[str]:
    """Yield the diseases of MedQuAD's documents, their synonyms, and the answers about them."""
    for path in sorted(folder.rglob("*.xml")):
        nodes = ElementTree.parse(path).iter()
        yield "\n".join(node.text or "" for node in nodes if node.tag in _MEDQUAD_TAGS)


def sentences(text: str) -> list[str]:
    """Cut a text at line breaks, and after the signs that end a sentence.

    >>> sentences("It fell. Then: 3.5 mg.\\nOK")
    ['It fell.', 'Then: 3.5 mg.', 'OK']
    """
    parts = (part.strip() for line in text.splitlines() for part in _SENTENCE_END.split(line))
    return [part for part in parts if part]


def keep_sentences(
    documents: Iterable[str], *, dev: Iterable[str], train: Iterable[str]
) -> tuple[list[str], int]:
    """Return new sentences of medium length, and the number of documents that are left out."""
    held, seen = (set(map(letters, texts)) for texts in (dev, train))
    kept: list[str] = []
    left_out = 0
    for document in documents:
        found = {sentence: letters(sentence) for sentence in sentences(document)}
        if any(len(key) > _SIGNIFICANT and key in held for key in found.values()):
            left_out += 1
            continue
        for sentence, key in found.items():
            if _SHORTEST <= len(sentence) <= _LONGEST and key not in seen:
                seen.add(key)
                kept.append(sentence)
    return kept, left_out


def letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case: its key among texts.

    >>> letters("It fell, then.")
    'itfellthen'
    """
    return re.sub(r"\W+", "", text).lower()


def write_texts(path: Path, texts: Iterable[str]) -> None:
    """Write a table of texts, in the column `orig_text`, to a new file."""
    with (
        atomic_file(path, overwrite=False) as new,
        new.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["orig_text"])
        writer.writerows([text] for text in texts)


def main(given: Sequence[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unlabelled_sentences", description=__doc__
    )
    add = parser.add_argument
    add("folders", nargs="*", type=Path, help="folders of .txt and .conllu files")
    add("--pubmedqa", nargs="*", default=[], type=Path, help="ori_pqal.json of PubMedQA")
    add("--bioasq", nargs="*", default=[], type=Path, help="JSON files of BioASQ's questions")
    add("--medquad", nargs="*", default=[], type=Path, help="clone of MedQuAD")
    add("--corpora", nargs="+", choices=CORPORA, default=list(_CORPORA), help="their rows stay out")
    add("--data", type=Path, default=FOLDER.parents[1], help="folder of the corpora")
    add("--out", type=Path, required=True, help="CSV file to write, with the column orig_text")
    options = parser.parse_args(command_line(given))
    train, dev = zip(
        *(read_corpus(options.data, corpus) for corpus in options.corpora), strict=True
    )
    kept, left_out = keep_sentences(
        chain(
            read_folders(options.folders),
            *map(read_pubmedqa, options.pubmedqa),
            read_bioasq(options.bioasq),
            *map(read_medquad, options.medquad),
        ),
        dev=[pair.source for pairs in dev for pair in pairs],
        train=[pair.source for pairs in train for pair in pairs],
    )
    write_texts(options.out, kept)
    log(f"{len(kept):,} sentences; documents left out for a sentence of the dev rows: {left_out:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
