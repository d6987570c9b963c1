"""The tagger and spaCy's NER over several seeds: is the difference more than chance?

With a language model of `annoseq pretrain`, the tagger also begins with it. All are trained on nine
tenths of the training documents, and choose their epoch on the other tenth. The dev rows choose
nothing. A difference may be that of the seeds (a permutation test of the F1 of all runs) or of the
documents that happen to be in the dev rows (a bootstrap over them).
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from annoseq.config import DataConfig, TrainingConfig
from annoseq.data.examples import parse_pairs
from annoseq.errors import OptionError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.learner import Learner
from benchmarks import spacy_peer
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import KEPT, split_corpus
from benchmarks.measure import markdown_table
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import add_run_options, load_outcomes, run_and_join
from benchmarks.tagger_runs import CPU, LANGUAGES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.dataset import Dataset

REPORT = Path(__file__).with_suffix(".md")
SYSTEMS = {
    "tagger": "annoseq's tagger",
    "pretrained": "annoseq's tagger, pre-trained on unlabelled texts",
    "lexicons": "annoseq's tagger, pre-trained on unlabelled texts, with lexicons",
    "spacy": "spaCy's NER",
}
_BEGIN_WITH_A_LANGUAGE_MODEL = {"pretrained", "lexicons"}
_LM_WEIGHT = 0.1
SEEDS = (42, 1, 2, 3, 4)
RUNS = [f"{system}-{corpus}-{seed}" for corpus in LANGUAGES for seed in SEEDS for system in SYSTEMS]
DRAWS = 9_999


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train a system with a seed; return its counts of spans in each dev document, and the time."""
    system, corpus, seed = name.split("-")
    dataset, train, dev = split_corpus(options.data, corpus, rows=options.rows)
    folder, texts = options.results / f"{name}.model", [pair.source for pair in dev]
    if system == "spacy":
        trained = _train_spacy(train, folder, language=LANGUAGES[corpus], seed=int(seed))
        found, _ = spacy_peer.annotate(trained.folder, texts)
        return {"documents": count_spans(found, dev), "seconds": trained.seconds}
    training: dict[str, Any] = {"seed": int(seed)}
    if options.epochs is not None:
        training["epochs"] = options.epochs
    beside: dict[str, Any] = {}
    if system in _BEGIN_WITH_A_LANGUAGE_MODEL:
        training["lm_weight"], beside["language_model"] = _LM_WEIGHT, _language_model(options)
    if system == "lexicons":
        beside["lexicon_features"] = _lexicon_features(options)
    seconds = _train_tagger(dataset, folder, training, **beside)
    annotations = Annotator.load(folder, device=CPU).annotate(texts)
    found = [list(one.spans or ()) for one in annotations]
    return {"documents": count_spans(found, dev), "seconds": seconds}


def _train_spacy(train: Pairs, folder: Path, *, language: str, seed: int) -> spacy_peer.Trained:
    ours, others = spacy_peer.split(train, DataConfig(valid_share=KEPT))
    return spacy_peer.train(ours, others, folder, language=language, seed=seed)


def _language_model(options: argparse.Namespace) -> Path:
    """Return the folder of the language model.

    Raises:
        OptionError: it is not given.
    """
    if options.language_model is None:
        raise OptionError("a pre-trained tagger needs a language model. Give --language-model.")
    return Path(options.language_model)


def _lexicon_features(options: argparse.Namespace) -> LexiconFeatures:
    """Return the lexicons.

    Raises:
        OptionError: none is given.
    """
    if features := LexiconFeatures(lexicons=options.lexicon, gazetteers=options.gazetteers):
        return features
    raise OptionError("a tagger with lexicons needs some. Give --lexicon or --gazetteers.")


def _train_tagger(dataset: Dataset, folder: Path, training: dict[str, Any], **beside: Any) -> float:
    """Return the processor seconds of the training."""
    began = time.process_time()
    learner = Learner(
        dataset,
        training=TrainingConfig.model_validate(training),
        device=CPU,
        **beside,
    )
    learner.fit_one_cycle(report=log)
    seconds = time.process_time() - began
    learner.save(folder, overwrite=True)
    return seconds


def count_spans(found: Sequence[Sequence[Span]], dev: Pairs) -> list[tuple[int, int, int]]:
    """Return the numbers of correct, predicted and gold spans of each document."""
    documents: defaultdict[str, SpanScore] = defaultdict(SpanScore)
    for spans, example in zip(found, parse_pairs(dev, task="annotate").examples, strict=True):
        documents[example.document or str(example.row)] += score_spans(spans, example.tight_spans)
    return [(score.correct, score.predicted, score.gold) for score in documents.values()]


def f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of counts (..., D, 3) of documents."""
    correct, found, gold = np.moveaxis(counts.sum(-2), -1, 0)
    return np.asarray(2 * correct / np.maximum(found + gold, 1))


def compare(ours: NDArray[np.int64], theirs: NDArray[np.int64], *, seed: int) -> list[str]:
    """Return the difference in mean F1 of counts (S, D, 3), its interval and its p-value.

    The interval is that of a bootstrap over documents, the p-value that of a permutation test over
    seeds, of two sides.
    """

    def difference(drawn: NDArray[np.int64]) -> float:
        return float(f1(ours[:, drawn]).mean() - f1(theirs[:, drawn]).mean())

    documents = np.arange(ours.shape[1])
    rng = np.random.default_rng(seed)
    drawn = stats.bootstrap(
        (documents,), difference, method="percentile", vectorized=False, n_resamples=DRAWS, rng=rng
    )
    scores = f1(ours), f1(theirs)
    test = stats.permutation_test(scores, _mean_difference, n_resamples=DRAWS, rng=rng)
    low, high = (f"{bound:+.4f}" for bound in drawn.confidence_interval)
    return [f"{difference(documents):+.4f}", f"{low} to {high}", f"{test.pvalue:.3f}"]


def _mean_difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    return float(ours.mean() - theirs.mean())


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the tables of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, RUNS)
    rows, differences = [], []
    for corpus in LANGUAGES:
        counts = {system: _counts(outcomes, system, corpus) for system in SYSTEMS}
        for system, found in counts.items():
            if len(found):
                scores, times = f1(found).tolist(), _seconds(outcomes, system, corpus)
                spread = f"{stdev(scores):.4f}" if len(scores) > 1 else ""
                values = [f"{mean(scores):.4f}", spread, str(len(scores)), f"{mean(times):,.0f}"]
                rows.append([corpus, SYSTEMS[system], *values])
        for system in [one for one in SYSTEMS if one != "spacy"]:
            if len(counts[system]) > 1 < len(counts["spacy"]):
                compared = compare(counts[system], counts["spacy"], seed=options.seed)
                differences.append([corpus, SYSTEMS[system], *compared])
    tables = [markdown_table(["dev rows", "model", "F1", "spread", "seeds", "training, s"], rows)]
    if differences:
        head = ["dev rows", "less spaCy", "F1", "95 % over documents", "p over seeds"]
        tables.append(markdown_table(head, differences))
    return tables, machine


def _names(outcomes: Mapping[str, Any], system: str, corpus: str) -> list[str]:
    names = (f"{system}-{corpus}-{seed}" for seed in SEEDS)
    return [name for name in names if name in outcomes]


def _counts(outcomes: Mapping[str, Any], system: str, corpus: str) -> NDArray[np.int64]:
    """Return the counts (S, D, 3) of the runs of a system."""
    rows = [outcomes[name]["documents"] for name in _names(outcomes, system, corpus)]
    return np.array(rows, np.int64)


def _seconds(outcomes: Mapping[str, Any], system: str, corpus: str) -> list[float]:
    return [outcomes[name]["seconds"] for name in _names(outcomes, system, corpus)]


ABOUT = f"""\
The tagger with its defaults, and spaCy's NER with its default configuration for a CPU, each with
several seeds. A pre-trained tagger begins with a language model (`annoseq pretrain`), and goes on
to predict words beside its tags (`--lm-weight 0.1`); the time of the language model is not counted.
Matches of lexicons are features of one tagger.
All are trained on the same nine tenths of the training rows and choose their epoch on the other
tenth; the dev rows choose nothing. Means over seeds, and the standard deviation of F1. The interval
of the difference is that of a bootstrap over documents, the p-value that of a permutation test of
the F1 of all runs, of two sides: the first tells whether other documents would show the same, the
second whether other seeds would.
{TIMING_NOTE}"""

BENCHMARK = Benchmark(name="seeds", title="The tagger and spaCy over seeds", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform the runs that are asked for, print the tables, and replace the report."""
    arguments = command_line(given)
    parser = make_parser("seeds", "Train taggers and spaCy's NER with seeds.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add("--corpora", nargs="+", choices=list(LANGUAGES), default=["asq_phi"])
    add("--systems", nargs="+", choices=SYSTEMS, default=["tagger", "spacy"])
    add("--language-model", type=Path, help="folder with which pre-trained taggers begin")
    add("--lexicon", nargs="*", default=[], type=Path, help="lexicons of taggers with some")
    add("--gazetteers", nargs="*", default=[], help="languages of their open gazetteers")
    add("--epochs", type=int, help="of the tagger; by default its own")
    add_run_options(parser, cache="seeds", runs=RUNS)
    options = read_options(parser, arguments, above_zero=("epochs",))
    asked = [name.split("-") for name in RUNS]
    names = [
        "-".join(parts)
        for parts in asked
        if parts[0] in options.systems and parts[1] in options.corpora
    ]
    return run_and_join(BENCHMARK, options, arguments, names, perform=perform, join=join)


if __name__ == "__main__":
    sys.exit(main())
