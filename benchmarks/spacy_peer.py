"""spaCy's NER as a baseline: trained on the same rows with its default configuration for a CPU.

The configuration is what `spacy init config --pipeline ner --optimize efficiency` writes; training
ends where its own patience ends. Spans that its tokens cannot hold are not learned from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span
from annoseq.data.pairs import Pairs
from annoseq.data.splits import split_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.config import DataConfig


@dataclass(frozen=True, slots=True)
class Trained:
    """Trained pipeline in a folder, and the processor seconds of its training."""

    folder: Path
    seconds: float


def train(
    train_pairs: Pairs, dev: Pairs, folder: Path, *, language: str, seed: int | None = None
) -> Trained:
    """Train a pipeline, and keep the best by the dev rows, as spaCy does.

    Without a `seed` it is that of spaCy's configuration.
    """
    from spacy.cli.init_config import init_config
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as train_nlp

    folder.mkdir(parents=True)
    config = init_config(lang=language, pipeline=["ner"], optimize="efficiency", gpu=False)
    for name, pairs in (("train", train_pairs), ("dev", dev)):
        path = folder / f"{name}.spacy"
        _write(pairs, path, language=language)
        config["paths"][name] = str(path)
    if seed is not None:
        config["training"]["seed"] = seed
    nlp = init_nlp(config)
    (folder / "pipeline").mkdir()
    began = time.process_time()
    train_nlp(nlp, folder / "pipeline")
    return Trained(folder / "pipeline" / "model-best", time.process_time() - began)


def split(pairs: Pairs, config: DataConfig) -> tuple[Pairs, Pairs]:
    """Return the rows that a tagger with these settings trains on, and those that it keeps."""
    train, kept = split_rows(
        pairs, share=config.valid_share, by=config.split_by, seed=config.split_seed
    )
    return (
        Pairs([pairs[row] for row in train], name="train"),
        Pairs([pairs[row] for row in kept], name="kept"),
    )


def _write(pairs: Pairs, path: Path, *, language: str) -> None:
    import spacy
    from spacy.tokens import DocBin

    nlp = spacy.blank(language)
    rows = DocBin()
    for example in parse_pairs(pairs, task="annotate").examples:
        doc = nlp.make_doc(example.source)
        spans = _flat(example.spans or ())
        places = (doc.char_span(span.start, span.end, label=span.label) for span in spans)
        doc.ents = tuple(place for place in places if place is not None)
        rows.add(doc)
    rows.to_disk(path)


def _flat(spans: Sequence[Span]) -> list[Span]:
    """Return the outermost spans: spaCy's NER supports no nested ones."""
    kept: list[Span] = []
    for span in spans:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def annotate(folder: Path, texts: Sequence[str]) -> tuple[list[list[Span]], float]:
    """Return the spans of texts, and the processor seconds that `nlp.pipe` took for them."""
    import spacy

    nlp = spacy.load(folder)
    list(nlp.pipe(texts[:200]))  # warm
    began = time.process_time()
    docs = list(nlp.pipe(texts))
    seconds = time.process_time() - began
    found = [[Span(one.start_char, one.end_char, one.label_) for one in doc.ents] for doc in docs]
    return found, seconds
