"""Unlabelled lines of the background set of MEDDOCAN, for `benchmarks.unlabelled`.

The background set are the documents of the shared task that nobody annotated. They are in
`scripts/CODALAB-Evaluation-script` of https://github.com/PlanTL-GOB-ES/SPACCC_MEDDOCAN, beside
those of the corpus. Documents of the corpus are left out, and so are those of an article that a
document of its dev or test set is from, those with a line of such a document, and lines of the
training rows.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import OptionError, count_noun
from benchmarks.budget import log
from benchmarks.command import command_line, exit_status
from benchmarks.meddocan import FOLDER
from benchmarks.tagger_runs import read_corpus
from benchmarks.unlabelled_sentences import letters, write_texts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_TEXTS = Path("scripts/CODALAB-Evaluation-script/annotated_corpora/sentence_splitted")
_SPLITS = ("train", "dev", "test")
_SIGNIFICANT = 60
"""Letters and digits from which on a line tells which document it is of; form headers recur."""


class Background(NamedTuple):
    """New lines of documents that are not of the corpus, and the numbers of documents."""

    lines: list[str]
    documents: int
    left_out: int


def read_texts(clone: Path) -> dict[str, str]:
    """Return the texts of all documents, by their names in alphabetical order.

    Raises:
        OptionError: there are none.
    """
    texts = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((clone / _TEXTS).glob("*.txt"))
    }
    if not texts:
        raise OptionError(f"{clone / _TEXTS} has no .txt files. Give a clone of SPACCC_MEDDOCAN.")
    return texts


def read_splits(clone: Path) -> dict[str, set[str]]:
    """Return the names of the documents of each split of the corpus.

    Raises:
        OptionError: a split has none.
    """
    splits = {}
    for split in _SPLITS:
        folder = clone / "corpus" / split / "brat"
        splits[split] = {path.stem for path in folder.glob("*.txt")}
        if not splits[split]:
            raise OptionError(f"{folder} has no .txt files. Give a clone of SPACCC_MEDDOCAN.")
    return splits


def keep_lines(
    texts: Mapping[str, str], splits: Mapping[str, Collection[str]], *, train: Iterable[str]
) -> Background:
    """Return the lines of the documents that are of no split, each once.

    `train` are the texts of the training rows.
    """
    held = {*splits["dev"], *splits["test"]}
    articles = set(map(_article, held))
    held_lines = {
        key for name in held for line in texts.get(name, "").splitlines() if (key := _telling(line))
    }
    corpus = held.union(splits["train"])
    seen = set(map(letters, train))
    lines, documents, left_out = [], 0, 0
    for name, text in texts.items():
        if name in corpus:
            continue
        is_held = any(_telling(line) in held_lines for line in text.splitlines())
        if is_held or _article(name) in articles:
            left_out += 1
            continue
        documents += 1
        for line in map(str.strip, text.splitlines()):
            if (key := letters(line)) and key not in seen:
                seen.add(key)
                lines.append(line)
    return Background(lines, documents, left_out)


def _article(name: str) -> str:
    """Return the article of a document: S0004-06142005000500011 of S0004-06142005000500011-1."""
    return name.rpartition("-")[0]


def _telling(line: str) -> str | None:
    key = letters(line)
    return key if len(key) > _SIGNIFICANT else None


def main(given: Sequence[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.background", description=__doc__)
    add = parser.add_argument
    add("clone", type=Path, help="clone of SPACCC_MEDDOCAN")
    add("--data", type=Path, default=FOLDER.parents[1], help="folder of the corpora")
    add("--out", type=Path, required=True, help="CSV file to write, with the column orig_text")
    options = parser.parse_args(command_line(given))
    return exit_status(partial(_write, options))


def _write(options: argparse.Namespace) -> None:
    train, _ = read_corpus(options.data, "meddocan")
    kept = keep_lines(
        read_texts(options.clone),
        read_splits(options.clone),
        train=[pair.source for pair in train],
    )
    write_texts(options.out, kept.lines)
    log(
        f"{count_noun(len(kept.lines), 'line')} of {count_noun(kept.documents, 'document')}; left "
        f"out for a dev or test document: {count_noun(kept.left_out, 'document')}"
    )


if __name__ == "__main__":
    sys.exit(main())
