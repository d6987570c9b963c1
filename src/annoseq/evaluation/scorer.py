"""Streaming scorer of documents, and its terminal rendering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq._version import __version__
from annoseq.evaluation.bootstrap import REPLICATES, SEED, PoissonBootstrap, percentile_interval
from annoseq.evaluation.calibration import (
    BINS,
    BinTotals,
    count_reliability,
    expected_calibration_error,
)
from annoseq.evaluation.confusion_matrix import count_confusions
from annoseq.evaluation.counts import Counts, CountTotals, LabelCount, add_counts, count_key
from annoseq.evaluation.deid_metrics import (
    count_characters,
    count_document,
    count_i2b2,
    count_merged,
    count_sentences,
    count_tokens,
)
from annoseq.evaluation.error_analysis import count_fidelity_errors
from annoseq.evaluation.metrics import (
    gold_spans,
    output_scores,
    predicted_spans,
    scheme_score,
    span_scores,
)
from annoseq.evaluation.span_matching import SCHEMES, count_matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.bootstrap import ConfidenceInterval
    from annoseq.evaluation.counts import Array, CountKey, SpanComparison
    from annoseq.evaluation.span_matching import Scheme
    from annoseq.evaluation.text_scores import TextScorer

_LABEL_SCHEMES: tuple[Scheme, ...] = ("strict", "partial", "type")
"""Schemes counted for each label; among spans of one label, exact is strict."""


@dataclass(frozen=True)
class DocumentCounter:
    """Counts of a document. `labels` are those that an output may use; `text` counts BLEU etc.

    Without `has_spans` (where models translate), spans are not counted.
    """

    labels: Collection[str]
    text: TextScorer | None = None
    has_spans: bool = True

    def count(self, rows: Sequence[SpanComparison]) -> Counts:
        """Count the rows of one document."""
        counts = Counts({"rows": len(rows), "documents": 1})
        for row in rows:
            if self.has_spans:
                add_counts(counts, _count_spans(row))
            if row.output is not None:
                add_counts(counts, self._count_output(row, row.output))
        if self.has_spans and any(row.gold or row.predicted for row in rows):
            add_counts(counts, count_merged(rows))
            add_counts(counts, count_document(rows))
            add_counts(counts, count_i2b2(rows))
        return counts

    def _count_output(self, row: SpanComparison, output: str) -> Counts:
        counts = Counts()
        if self.has_spans:
            add_counts(counts, count_fidelity_errors(row.text, output, labels=self.labels))
        if row.target is not None:
            add_counts(counts, {"output.rows": 1, "output.exact": int(output == row.target)})
            if self.text:
                add_counts(counts, self.text.count(output, row.target))
        return counts


def _count_spans(row: SpanComparison) -> Counts:
    counts = Counts({"sentences": count_sentences(row.text), "tokens": count_tokens(row.text)})
    gold, predicted = sorted(row.gold), sorted(row.predicted)
    counts["perfect_rows"] = int(gold == predicted)
    for side, repeated in zip(("gold", "predicted"), row.repeated, strict=True):
        if repeated:
            counts[f"repeated.{side}"] = repeated
    if not gold and not predicted:
        return counts
    add_counts(counts, _count_schemes(gold, predicted, SCHEMES, label=None))
    labels = {span.label for span in (*gold, *predicted)}
    for label in labels:
        label_gold, label_predicted = gold, predicted
        if len(labels) > 1:
            label_gold = [span for span in gold if span.label == label]
            label_predicted = [span for span in predicted if span.label == label]
        add_counts(counts, _count_schemes(label_gold, label_predicted, _LABEL_SCHEMES, label=label))
    add_counts(counts, count_characters(row.text, gold, predicted))
    add_counts(counts, count_confusions(gold, predicted))
    add_counts(counts, count_reliability(gold, predicted))
    return counts


def _count_schemes(
    gold: Sequence[Span], predicted: Sequence[Span], schemes: Sequence[Scheme], *, label: str | None
) -> dict[CountKey, int]:
    """Count matches of sorted spans; with a `label`, under the keys of that label."""
    if gold == predicted:  # most rows of a good model
        return {count_key(f"{scheme}.correct", label): len(gold) for scheme in schemes}
    return {
        count_key(f"{scheme}.{outcome}", label): count
        for scheme in schemes
        for outcome, count in count_matches(gold, predicted, scheme=scheme).items()
    }


@dataclass(frozen=True, slots=True)
class Score:
    """A score, its 95 % interval (None with too few documents), and its replicates (R,)."""

    value: float
    interval: ConfidenceInterval | None
    replicates: Array


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Number of spans of a label, its strict scores, and its F1 under overlap."""

    gold: int
    predicted: int
    precision: Score
    recall: Score
    f1: Score
    partial_f1: float
    type_f1: float


class SubsetScorer:
    """Scores of all rows of a table, or of those that were not trained on."""

    def __init__(self, counter: DocumentCounter, *, replicates: int, seed: int) -> None:
        self._counter = counter
        self._size = replicates
        self._bootstrap = PoissonBootstrap(
            replicates=replicates, seed=seed, is_resampled=_is_resampled
        )

    def add(self, rows: Sequence[SpanComparison]) -> None:
        """Count a document."""
        self._bootstrap.add(self._counter.count(rows))

    @property
    def counts(self) -> Counts:
        """Sums of all counts."""
        return self._bootstrap.totals

    @property
    def rows(self) -> int:
        """Number of scored rows."""
        return self.counts["rows"]

    @property
    def documents(self) -> int:
        """Number of their documents."""
        return self._bootstrap.documents

    def scores(self) -> dict[str, Score]:
        """Return all scores by name."""
        totals, resampled = CountTotals(self.counts), self._bootstrap.replicates()
        replicates = self._compute(resampled)
        return {
            name: self._score(value, replicates[name])
            for name, value in self._compute(totals).items()
        }

    def label_scores(self) -> dict[str, LabelScores]:
        """Return the scores of each label."""
        totals, resampled = CountTotals(self.counts), self._bootstrap.replicates()
        return {label: self._label_scores(label, totals, resampled) for label in totals.labels}

    def _label_scores(self, label: str, totals: CountTotals, resampled: CountTotals) -> LabelScores:
        values = scheme_score(totals, "strict", label=label)
        replicates = scheme_score(resampled, "strict", label=label)
        strict = {name: self._score(values[name], replicates[name]) for name in values}
        return LabelScores(
            gold=int(gold_spans(totals, label)),
            predicted=int(predicted_spans(totals, label)),
            precision=strict["precision"],
            recall=strict["recall"],
            f1=strict["f1"],
            partial_f1=float(scheme_score(totals, "partial", label=label)["f1"]),
            type_f1=float(scheme_score(totals, "type", label=label)["f1"]),
        )

    def _score(self, value: Array, replicates: Array) -> Score:
        replicates = np.broadcast_to(replicates, (self._size,))  # a count that is always 0 is one 0
        interval = percentile_interval(replicates, documents=self.documents)
        return Score(float(value), interval, replicates)

    def _compute(self, totals: CountTotals) -> dict[str, Array]:
        scores = span_scores(totals) if self._counter.has_spans else {}
        scores |= output_scores(totals)
        if self._counter.text and "output.rows" in totals:
            scores |= self._counter.text.scores(totals)
        if any(isinstance(key, str) and key.startswith("reliability.") for key in self.counts):
            scores["calibration_error"] = expected_calibration_error(BinTotals.of_counts(totals))
        return scores


class Scorer:
    """Scorer of documents, one after the other; rows that were not trained on are scored apart too.

    `labels` are those that an output may use.
    """

    def __init__(
        self,
        *,
        labels: Collection[str],
        text: TextScorer | None = None,
        has_spans: bool = True,
        replicates: int = REPLICATES,
        seed: int = SEED,
    ) -> None:
        counter = DocumentCounter(frozenset(labels), text, has_spans)
        self.all = SubsetScorer(counter, replicates=replicates, seed=seed)
        self.unseen = SubsetScorer(counter, replicates=replicates, seed=seed)
        self.replicates, self.seed = replicates, seed
        self._text = text
        self._has_spans = has_spans

    def add(self, rows: Sequence[SpanComparison]) -> None:
        """Score the rows of a document."""
        self.all.add(rows)
        if unseen := [row for row in rows if row.is_unseen]:
            self.unseen.add(unseen)

    def add_all(self, documents: Iterable[Sequence[SpanComparison]]) -> None:
        """Score documents."""
        for rows in documents:
            self.add(rows)

    @property
    def signature(self) -> str:
        """Everything that the scores depend on besides the rows."""
        parts = [f"annoseq:{__version__}"]
        if self._has_spans:
            parts += [
                "offsets:code points",
                "overlap:any",
                "macro:labels of the gold",
                "tokens:annoseq",
                "leak:missed spans per sentence",
                f"bins:{BINS}",
            ]
        parts.append(f"interval:95% Poisson bootstrap of {self.replicates}, seed {self.seed}")
        if self._text:
            parts += [f"{name}({signature})" for name, signature in self._text.signatures.items()]
        return "|".join(parts)


def _is_resampled(key: CountKey) -> bool:
    """Return True for counts of all labels, and for those of the strict scheme of one label."""
    return isinstance(key, str) or (isinstance(key, LabelCount) and key.name.startswith("strict."))


_WIDTH = 22
_FIRST_SCORES = ("span_precision", "span_recall", "span_f1", "macro_f1", "character_recall")
"""Scores that are printed first."""
_MAIN_SCORES = (
    *_FIRST_SCORES,
    "document_recall",
    "leak",
    "over_redaction",
    "exact_match",
)


def score_lines(
    subset: SubsetScorer, *, main_only: bool = False, accuracies: Mapping[str, float] | None = None
) -> Iterator[str]:
    """Render the scores, one on a line, the most important first.

    `accuracies` are other scores of the same rows. With `main_only`, labels and minor scores are
    left out.
    """
    texts = {name: score_text(score) for name, score in subset.scores().items()}
    first = {name: texts.pop(name) for name in _FIRST_SCORES if name in texts}
    others = {name: f"{value:.4f}" for name, value in (accuracies or {}).items()}
    for name, text in (first | others | texts).items():
        if not main_only or name in _MAIN_SCORES:
            yield f"{name:{_WIDTH}} {text}"
    yield f"{'rows':{_WIDTH}} {subset.rows}"
    if main_only:
        return
    labels = subset.label_scores()
    if labels:
        width = max(map(len, labels))
        yield ""
        yield f"{'label':{width}}  {'gold':>6}  {'found':>6}  precision  recall      f1  (95 %)"
        for label, scores in sorted(labels.items(), key=lambda item: (-item[1].gold, item[0])):
            yield _label_line(f"{label:{width}}", scores)


def score_text(score: Score) -> str:
    """Render a score and its interval."""
    if score.interval is None:
        return f"{score.value:.4f}"
    return f"{score.value:.4f}  ({score.interval.low:.4f} to {score.interval.high:.4f})"


def _label_line(label: str, scores: LabelScores) -> str:
    return (
        f"{label}  {scores.gold:6d}  {scores.predicted:6d}  {scores.precision.value:9.4f}  "
        f"{scores.recall.value:6.4f}  {score_text(scores.f1)}"
    )
