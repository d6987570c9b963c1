"""One system of the benchmark of ONNX files, in a process of its own that imports no more than it.

`python -m benchmarks.onnx_system KIND MODEL DATA ROWS` prints its figures as JSON; a number of rows
of 0 is all of them.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span
from annoseq.data.pairs import Pairs, read_pairs
from annoseq.evaluation.span_matching import SpanScore, score_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Annotate = Callable[[Sequence[str]], list[list[Span]]]


def annotate_by_annoseq(model: Path) -> Annotate:
    """Return a function that annotates with a model folder or an ONNX file."""
    from annoseq.inference.annotator import Annotator

    annotator = Annotator.load(model, device="cpu")
    return lambda texts: [
        list(one.spans or ()) for one in annotator.annotate(texts, advance=lambda done: None)
    ]


def annotate_by_spacy(model: Path) -> Annotate:
    """Return a function that annotates with spaCy's NER."""
    import spacy

    nlp = spacy.load(model)
    return lambda texts: [
        [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        for doc in nlp.pipe(texts)
    ]


SYSTEMS = {"annoseq": annotate_by_annoseq, "spacy": annotate_by_spacy}


def measure(kind: str, model: Path, data: Path, rows: int) -> dict[str, float]:
    """Annotate the dev rows once, after the training rows, and score them.

    Returns characters per processor second, MiB at most, precision, recall and F1.
    """
    tables = [read_pairs(data / f"{name}.csv")[: rows or None] for name in ("train", "dev")]
    train, dev = (parse_pairs(Pairs(pairs, name="")).examples for pairs in tables)
    annotate = SYSTEMS[kind](model)
    annotate([example.source for example in train])
    texts = [example.source for example in dev]
    began = time.process_time()
    found = annotate(texts)
    seconds = time.process_time() - began
    scores = (
        score_spans(spans, example.tight_spans) for spans, example in zip(found, dev, strict=True)
    )
    score = sum(scores, SpanScore())
    return {
        "speed": sum(map(len, texts)) / seconds,
        "memory": _peak_mebibytes(),
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
    }


def _peak_mebibytes() -> float:
    """Return the largest resident set, which `getrusage` would count from the parent's on."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 2**10


def main(arguments: Sequence[str]) -> None:
    """Measure a system, and print its figures."""
    kind, model, data, rows = arguments
    print(json.dumps(measure(kind, Path(model), Path(data), int(rows))))


if __name__ == "__main__":
    main(sys.argv[1:])
