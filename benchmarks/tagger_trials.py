"""Changes to the tagger that were tried, beside the tagger as it is.

Each is trained on nine tenths of the training documents, and scored on the other tenth, which also
chooses the epoch. The dev rows are not read. A change that pays would become part of the package;
those that do not are here, so that they can be tried again.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pydantic import Field

from annoseq.config import TaggerConfig, TrainingConfig
from annoseq.inference.annotator import Annotator
from annoseq.models.crf import LinearChainCrf
from annoseq.models.padding import token_mask
from annoseq.tokenization.batch_pretokenizer import CutTexts
from annoseq.tokenization.gazetteer import LexiconFeatures, LexiconMatcher, fold_entry
from annoseq.training.document_folds import fold_numbers
from annoseq.training.learner import Learner
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import SEEDS, split_corpus
from benchmarks.measure import markdown_table
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import add_run_options, load_outcomes, run_and_join
from benchmarks.tagger_runs import CPU

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.soft_targets import SoftTargets

    _SeedScores = dict[int, dict[str, float]]
    """Scores by the seed of a run."""

REPORT = Path(__file__).with_suffix(".md")
CORPORA = ("ncbi_disease", "bc5cdr", "meddocan")
_PLAIN = "plain"
TRIALS = {
    _PLAIN: "the tagger as it is",
    "smoothing": "label smoothing of .05 in the CRF",
    "values": "lists of the values of the training spans",
    "folds": "the same lists, for a training row without the values of its fold",
    "second": "values found elsewhere in the document, read in a second pass",
    "words": "words never dropped in training",
    "wordless": "words dropped twice as often in training (.4)",
    "buckets": "four times the hash buckets",
    "narrow": "a quarter of the hash buckets",
}
CONFIGS = {
    "words": TaggerConfig(word_dropout=0.0),
    "wordless": TaggerConfig(word_dropout=0.4),
    "buckets": TaggerConfig(buckets=4 * TaggerConfig().buckets),
    "narrow": TaggerConfig(buckets=TaggerConfig().buckets // 4),
}
SPAN_SCORES = ("span_precision", "span_recall", "span_f1")
SMOOTHING = 0.05
FOLDS = 5
SURE = 0.9
"""Score from which on a span is a value for the other rows of its document."""


class SmoothedCrf(LinearChainCrf):
    """CRF whose gold tags have a share of the emission score of all tags (Szegedy et al. 2016)."""

    def loss(
        self, emissions: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None = None
    ) -> Tensor:
        """Return the negative log-likelihood (B,) of smoothed tags."""
        gold = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
        excess = (gold - emissions.mean(2)).masked_fill(~token_mask(tags, lengths), 0.0)
        return super().loss(emissions, tags, lengths, soft) + SMOOTHING * excess.sum(1)


class TextMatcher(LexiconMatcher):
    """Lists of its own for some texts, and the same lists for all others."""

    own: dict[str, LexiconMatcher] = Field(default_factory=dict)

    def match(self, texts: Sequence[str], cut: CutTexts) -> dict[int, tuple[str, ...]]:
        """Return the features of the tokens that match, by their places."""
        features: dict[int, tuple[str, ...]] = {}
        for index, text in enumerate(texts):
            first, last = cut.bounds[index : index + 2]
            one = CutTexts(cut.tokens[first:last], cut.offsets[first:last], [0, last - first])
            match = self.own[text].match if text in self.own else super().match
            features |= {first + place: names for place, names in match([text], one).items()}
        return features


@dataclass(frozen=True)
class ValueLists(LexiconFeatures):
    """Values of spans by label, as lists: of all texts, and of texts with lists of their own.

    Texts share an object of values where they share the values.
    """

    values: Mapping[str, set[str]] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, set[str]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return True

    def read(self, *, tokenize: Callable[[str], Sequence[str]]) -> LexiconMatcher:
        """Return the lists as a matcher."""
        entries: dict[str, str] = {}

        def entry(value: str) -> str:
            if value not in entries:
                entries[value] = fold_entry(tokenize(value))
            return entries[value]

        def lists(values: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
            return {
                label: tuple(sorted({entry(value) for value in found} - {""}))
                for label, found in values.items()
            }

        matchers = {id(values): LexiconMatcher(lists=lists(values)) for values in self.own.values()}
        own = {text: matchers[id(values)] for text, values in self.own.items()}
        return TextMatcher(lists=lists(self.values) or {"none": ()}, own=own)


def values_by_label(rows: Iterable[tuple[str, Iterable[Span]]]) -> dict[str, set[str]]:
    """Return the values of the spans of texts, by label."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for text, spans in rows:
        for span in spans:
            values[span.label].add(text[span.start : span.end])
    return dict(values)


def _gold(examples: Iterable[Example]) -> list[tuple[str, Iterable[Span]]]:
    return [(example.source, example.tight_spans) for example in examples]


def out_of_fold_lists(dataset: Dataset) -> ValueLists:
    """Return the values of all training rows; for a training row, those of the other folds."""
    folds = fold_numbers(dataset, count=FOLDS, seed=42)
    of_others = [
        values_by_label(
            _gold(row for row, fold in zip(dataset.train, folds, strict=True) if fold != number)
        )
        for number in range(FOLDS)
    ]
    own = {row.source: of_others[fold] for row, fold in zip(dataset.train, folds, strict=True)}
    return ValueLists(values=values_by_label(_gold(dataset.train)), own=own)


def document_lists(dataset: Dataset, found: Sequence[Sequence[Span]]) -> ValueLists:
    """Return, for each row, the values in the other rows of its document.

    They are gold spans of training rows, and `found` spans of the kept rows.
    """
    documents: defaultdict[str, list[tuple[str, Iterable[Span]]]] = defaultdict(list)
    kept = [(example.source, spans) for example, spans in zip(dataset.valid, found, strict=True)]
    for example, row in zip(
        [*dataset.train, *dataset.valid], [*_gold(dataset.train), *kept], strict=True
    ):
        documents[example.document or str(example.row)].append(row)
    own = {}
    for rows in documents.values():
        for number, (text, _) in enumerate(rows):
            own[text] = values_by_label([*rows[:number], *rows[number + 1 :]])
    return ValueLists(own=own)


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train a tagger with one change; return its best F1 on the kept rows.

    The second pass reads what the tagger of the run `plain` with its seed has found.
    """
    trial, corpus, seed = name.split("-")
    dataset, *_ = split_corpus(options.data, corpus, rows=options.rows)
    lists = None
    if trial == "values":
        lists = ValueLists(values=values_by_label(_gold(dataset.train)))
    elif trial == "folds":
        lists = out_of_fold_lists(dataset)
    elif trial == "second":
        lists = document_lists(dataset, _first_pass(options, f"{_PLAIN}-{corpus}-{seed}", dataset))
    given = {} if options.epochs is None else {"epochs": options.epochs}
    began = time.process_time()
    learner = Learner(
        dataset,
        model=CONFIGS.get(trial, TaggerConfig()),
        training=TrainingConfig(seed=int(seed), **given),
        device=CPU,
        lexicon_features=lists,
    )
    if trial == "smoothing":
        _smooth(learner)
    learner.fit_one_cycle(report=log)
    seconds = time.process_time() - began
    if trial == _PLAIN:
        learner.save(options.results / f"{name}.model", overwrite=True)
    best = max(learner.recorder.epochs, key=lambda epoch: epoch.score)
    return {"scores": best.scores, "epochs": learner.epochs, "seconds": seconds}


def _first_pass(options: argparse.Namespace, name: str, dataset: Dataset) -> list[list[Span]]:
    """Return the sure spans of the kept rows, by the tagger of a run."""
    annotator = Annotator.load(options.results / f"{name}.model", device=CPU)
    found = annotator.annotate([example.source for example in dataset.valid])
    return [
        [span for span in one.spans or () if span.score is not None and span.score >= SURE]
        for one in found
    ]


def _smooth(learner: Learner) -> None:
    head = learner.network.head
    smoothed = SmoothedCrf(head.crf.labels)
    for name, scores in head.crf.named_parameters():
        setattr(smoothed, name, scores)
    head.crf = smoothed


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the table of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, RUNS)
    rows = [
        [corpus, title, *_columns(scores, _scores(outcomes, _PLAIN, corpus), trial)]
        for corpus in CORPORA
        for trial, title in TRIALS.items()
        if (scores := _scores(outcomes, trial, corpus))
    ]
    head = ["kept rows", "change", "precision", "recall", "F1", "spread", "gain", "seeds"]
    return [markdown_table(head, rows)], machine


def _columns(scores: _SeedScores, plain: _SeedScores, trial: str) -> list[str]:
    """Return the mean scores of a trial by seed, their spread, the gain and the seeds."""
    means = [mean(one[key] for one in scores.values()) for key in SPAN_SCORES]
    values = [one["span_f1"] for one in scores.values()]
    spread = f"{stdev(values):.4f}" if len(values) > 1 else ""
    gains = [scores[seed]["span_f1"] - plain[seed]["span_f1"] for seed in scores.keys() & plain]
    gain = f"{mean(gains):+.4f}" if gains and trial != _PLAIN else ""
    return [*(f"{value:.4f}" for value in means), spread, gain, str(len(scores))]


def _scores(outcomes: Mapping[str, Any], trial: str, corpus: str) -> _SeedScores:
    names = {seed: f"{trial}-{corpus}-{seed}" for seed in SEEDS}
    return {seed: outcomes[name]["scores"] for seed, name in names.items() if name in outcomes}


RUNS = [f"{trial}-{corpus}-{seed}" for seed in SEEDS for corpus in CORPORA for trial in TRIALS]

ABOUT = f"""\
Changes to the tagger that were tried and not kept, beside the tagger as it is. All are trained on
nine tenths of the training documents and scored on the other tenth, which also chooses the epoch,
so that the figures are slightly optimistic; the dev rows were not read. The gain is the mean
difference in F1 from the tagger as it is, with the same seeds.

Lists of values mark where a value of a training span occurs, as `--lexicon` does. Of a training row
they hold its own values, which are not there in a new text; out of fold they lack the values of its
fold, one of five. The second pass marks the values that occur in other rows of the document: gold
spans in training, and in the kept rows what the tagger as it is found with a score of at least .9.
Label smoothing gives each gold tag .95 of its emission score and all tags alike the rest.
{TIMING_NOTE}"""

BENCHMARK = Benchmark(
    name="tagger_trials", title="Changes to the tagger that were tried", about=ABOUT
)


def main(given: Sequence[str] | None = None) -> int:
    """Perform the runs that are asked for, print the table, and replace the report."""
    arguments = command_line(given)
    parser = make_parser("tagger_trials", "Train taggers with one change.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    parser.add_argument("--epochs", type=int, help="of every run; by default the tagger's own")
    add_run_options(parser, cache="tagger_trials", runs=RUNS)
    options = read_options(parser, arguments, above_zero=("epochs",))
    return run_and_join(BENCHMARK, options, arguments, RUNS, perform=perform, join=join)


if __name__ == "__main__":
    sys.exit(main())
