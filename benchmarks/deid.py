"""De-identification beside others: what is covered, what is lost, and the official scores.

The dev rows of a Spanish and an English corpus are redacted by the tagger at several targets, by
spaCy's NER trained on the same rows, and by Presidio's default analyzer.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from annoseq.data.examples import parse_pairs
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.policy import Policy
from annoseq.deid.redaction_coverage import ScoredRow, measure_redaction
from annoseq.deid.redactor import Redactor
from annoseq.evaluation.coverage_counter import count_coverage
from annoseq.inference.annotator import Annotator
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.deid_scores import OFFICIAL, Corpus, measure, official_scores, redact_spans
from benchmarks.deid_systems import CPU, find_with_presidio, find_with_spacy, load_tagger
from benchmarks.measure import describe_machine, markdown_table
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import add_run_options, load_results, perform_runs, save_results
from benchmarks.tagger_runs import LANGUAGES, read_corpus

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from annoseq.deid.redaction import DetectedSpan
    from annoseq.evaluation.coverage import CoveragePoint
    from annoseq.inference.annotation import Annotation

REPORT = Path(__file__).with_suffix(".md")
CORPORA = ("meddocan", "asq_phi")
SEEDS = (42, 1)
TARGETS = (None, 0.99, 0.995)
RUNS = (
    *(f"ours-{corpus}-{seed}" for corpus in CORPORA for seed in SEEDS),
    *(f"spacy-{corpus}-{SEEDS[0]}" for corpus in CORPORA),
    *(f"presidio-{corpus}-0" for corpus in CORPORA),
)
COSTS = (0.003, 0.01, 0.04)
"""Shares of other tokens at which the coverage is read off the curve."""
_ROOM = 0.95
"""Propagation marks other tokens, too: a few of a hundred."""


def run_ours(corpus: Corpus, annotator: Annotator) -> dict[str, Any]:
    """Redact at every target, and read points off the curves of what is marked and redacted."""
    modes: dict[str, Any] = {}
    annotator.annotate(corpus.texts[:200], advance=_ignore)  # warm
    best: list[Annotation] = []
    for target in TARGETS:
        began = time.process_time()
        found = annotator.annotate(corpus.texts, target_coverage=target, advance=_ignore)
        seconds = time.process_time() - began
        best = best or found
        replaced, more = redact_spans(
            corpus, [list(one.spans or ()) for one in found], propagates=True
        )
        name = "most likely spans" if target is None else f"target {target:g}"
        modes[name] = _figures(corpus, replaced, seconds + more)
    scored = annotator.annotate_with_coverage(corpus.texts)
    rows = [
        ScoredRow(example, annotation.spans or (), parts)
        for example, (annotation, parts) in zip(corpus.examples, scored, strict=True)
    ]
    curve = count_coverage(corpus.examples, [parts for _, parts in scored]).curve()
    marked = [point for cost in COSTS if (point := _at_cost(curve, cost))]
    thresholds = [point.threshold for point in marked]
    redacted = measure_redaction(rows, corpus.redactor, thresholds=thresholds)
    points = {"as marked": marked, "as redacted": list(map(redacted.point, thresholds))}
    return {
        "modes": modes,
        "official": official_scores(corpus, [list(one.spans or ()) for one in best]),
        "points": {
            name: [[one.coverage, one.clean_share, one.other_share] for one in found]
            for name, found in points.items()
        },
    }


def _at_cost(curve: Sequence[CoveragePoint], cost: float) -> CoveragePoint | None:
    """Return the point with the highest coverage whose cost leaves room for propagation."""
    points = [point for point in curve if point.other_share <= _ROOM * cost]
    return max(points, key=lambda point: point.coverage, default=None)


def _figures(
    corpus: Corpus, replaced: Sequence[Sequence[DetectedSpan]], seconds: float
) -> dict[str, Any]:
    point = measure(corpus, replaced)
    return {
        "covered": point.coverage,
        "clean": [point.clean_documents, point.documents],
        "lost": point.other_share,
        "precision": point.precision,
        "notes": len({one.document or one.row for one in corpus.examples}) / seconds,
    }


def _ignore(_: int) -> None:
    pass


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Perform one run."""
    kind, corpus_name, seed = name.split("-")
    folder = options.results / f"{name}.model"
    train, dev = (table[: options.rows] for table in read_corpus(options.data, corpus_name))
    examples = parse_pairs(dev, task="annotate").examples
    table = PhiTypeTable.default()
    corpus = Corpus(corpus_name, examples, Redactor(table, Policy.uniform("mask")))
    if kind == "ours":
        annotator = Annotator(load_tagger(train, folder, seed=int(seed)), device=CPU)
        return run_ours(corpus, annotator) | {"story": f"annoseq, seed {seed}"}
    if kind == "spacy":
        found = find_with_spacy(train, corpus.texts, folder, corpus=corpus_name, seed=int(seed))
    else:
        found = find_with_presidio(corpus.texts, folder, language=LANGUAGES[corpus_name])
    replaced, seconds = redact_spans(corpus, found.spans, propagates=False)
    official = official_scores(corpus, found.spans)
    if kind == "presidio":  # its labels are others
        official = {key: value for key, value in official.items() if key in _WITHOUT_LABELS}
    figures = _figures(corpus, replaced, found.seconds + seconds)
    return {"modes": {"": figures}, "official": official, "story": found.story}


_WITHOUT_LABELS = ("MEDDOCAN spans", "MEDDOCAN merged")


def run_one(name: str, options: argparse.Namespace) -> None:
    """Perform one run, and save its results and the description of the machine."""
    warnings.simplefilter("ignore")
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    machine = describe_machine(torch.device("cpu"))
    save_results(options.results, name, perform(name, options) | {"machine": machine})
    log(f"{name}: done")


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Make the tables of all results."""
    results = load_results(options.results, RUNS)
    facts = dict(next(iter(results.values()))["machine"]) if results else {}
    loads = (f"{name}: {one['machine']['load'].split()[0]}" for name, one in results.items())
    facts["load before"] = "; ".join(loads)
    tables = [_coverage_table(results), _official_table(results), _curve_table(results)]
    return tables, facts


def _coverage_table(results: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, one in results.items():
        corpus = name.split("-")[1]
        for mode, figures in one["modes"].items():
            clean, documents = figures["clean"]
            rows.append(
                [
                    *(corpus, f"{one['story']}, {mode}" if mode else one["story"]),
                    *(f"{figures['covered']:.4f}", f"{clean} of {documents}"),
                    *(f"{figures['lost']:.2%}", f"{figures['precision']:.4f}"),
                    f"{figures['notes']:,.1f}",
                ]
            )
    head = [
        *("corpus", "system", "identifiers covered", "documents without a miss"),
        *("other tokens lost", "token precision", "notes/s"),
    ]
    return markdown_table(head, sorted(rows, key=lambda row: row[0], reverse=True))


def _official_table(results: dict[str, dict[str, Any]]) -> str:
    names = [*OFFICIAL, "i2b2 strict, HIPAA", "i2b2 token, HIPAA"]
    rows = [
        [
            *(name.split("-")[1], one["story"]),
            *(f"{one['official'][key]:.4f}" if key in one["official"] else "" for key in names),
        ]
        for name, one in results.items()
    ]
    head = ["corpus", "system, most likely spans", *names]
    return markdown_table(head, sorted(rows, key=lambda row: row[0], reverse=True))


def _curve_table(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            *(name.split("-")[1], f"{one['story']}, {curve}"),
            *(f"{covered:.4f}", f"{clean:.3f}", f"{cost:.2%}"),
        ]
        for name, one in results.items()
        for curve, points in one.get("points", {}).items()
        for covered, clean, cost in points
    ]
    head = [
        *("corpus", "system", "identifiers covered", "documents without a miss"),
        "other tokens lost",
    ]
    return markdown_table(head, rows)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("deid", "Compare what systems cover and lose.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add_run_options(parser, cache="deid", runs=RUNS)
    return read_options(parser, arguments, above_zero=())


ABOUT = f"""\
One run each on the dev rows of MEDDOCAN (Spanish) and ASQ-PHI (English), which chose nothing. The
tagger and spaCy's NER are trained on the same four fifths of the training documents, and stop by
the other fifth, on which the tagger is calibrated. An identifier is covered if all its letters,
digits and symbols are replaced, whatever the label; other tokens are those in no identifier. The
tagger's figures are those of what `annoseq redact` replaces: the most likely spans, or with a
target coverage, and the same values elsewhere in the document. What the others find is replaced
as it is. Presidio has labels of its own, so that only the scores without labels are given. The
official scores are those of the scripts of i2b2 2014 and MEDDOCAN; i2b2's HIPAA subset is made of
the labels of its types. The last table is read off the dev rows: the highest coverage for at most
.3 %, 1 % and 4 % of the other tokens, without and with propagation. {TIMING_NOTE}"""


BENCHMARK = Benchmark(name="deid", title="De-identification beside others", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform the runs that are asked for, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(
        options,
        arguments,
        lambda: perform_runs(
            options, RUNS, make=lambda name: run_one(name, options), join=lambda: join(options)
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
