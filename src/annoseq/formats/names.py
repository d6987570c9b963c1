"""The formats by name. It imports none of them, so that options can name them all."""

from __future__ import annotations

from typing import Literal

CorpusFormat = Literal[
    "brat",
    "i2b2",
    "meddocan",
    "folders",
    "inline",
    "inline-xml",
    "conll",
    "pubtator",
    "doccano",
    "label-studio",
    "spacy-jsonl",
    "spacy",
    "spans",
]
FormatName = Literal[CorpusFormat, "table"]
"""What can be imported: corpora, and tables of pairs in another markup."""

FOLDERS = frozenset({"brat", "i2b2", "meddocan", "folders", "inline", "inline-xml"})
"""The formats that are written as a folder."""
WITH_SCORES = frozenset({"label-studio", "spacy-jsonl", "spans"})
"""The formats that have a place for scores."""
