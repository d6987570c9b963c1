"""Scores as JSON: the file that `--json` writes and `annoseq compare` reads.

The replicates are written as base64 of little-endian 32-bit floats: a thousand numbers of no
interest to a reader, without which two files could not be compared in pairs.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.atomic_io import atomic_file
from annoseq.errors import TableError, describe_validation_error
from annoseq.evaluation.bootstrap import draws_fingerprint
from annoseq.evaluation.calibration import ReliabilityBin, reliability_bins
from annoseq.evaluation.confusion_matrix import confusion_matrix
from annoseq.evaluation.counts import CountTotals, LabelCount
from annoseq.evaluation.coverage_scores import CoverageScores
from annoseq.evaluation.over_redaction import LostWord

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.evaluation.counts import Array, Counts
    from annoseq.evaluation.recall_thresholds import RecallTarget
    from annoseq.evaluation.scorer import LabelScores, Score, Scorer, SubsetScorer

_DIGITS = 6
_OTHERS_IGNORED = ConfigDict(extra="ignore", frozen=True)


class ScoreValue(BaseModel):
    """A score and its 95 % interval."""

    model_config = _OTHERS_IGNORED

    value: float
    low: float | None = None
    high: float | None = None


class LabelScoreValues(BaseModel):
    """Scores of a label: see `LabelScores`."""

    model_config = _OTHERS_IGNORED

    gold: int
    predicted: int
    precision: ScoreValue
    recall: ScoreValue
    f1: ScoreValue
    partial_f1: float
    type_f1: float


class SubsetScores(BaseModel):
    """Scores of the rows that were not trained on."""

    model_config = _OTHERS_IGNORED

    rows: int
    documents: int
    scores: dict[str, ScoreValue]
    labels: dict[str, LabelScoreValues] | None = None


class ConfusionCell(BaseModel):
    """A cell of the confusion matrix; an empty label stands for no span."""

    model_config = _OTHERS_IGNORED

    gold: str
    predicted: str
    count: int


class CountTable(BaseModel):
    """Sums of counts: of all labels by name, of each label by name, and the confusion matrix."""

    model_config = _OTHERS_IGNORED

    totals: dict[str, int]
    labels: dict[str, dict[str, int]]
    confusion: list[ConfusionCell]


class BootstrapSettings(BaseModel):
    """Settings that the replicates depend on, and a checksum of the draws; see `bootstrap`."""

    model_config = _OTHERS_IGNORED

    replicates: int
    seed: int
    draws: str
    numpy: str


class RecallScores(BaseModel):
    """Recall and precision."""

    model_config = _OTHERS_IGNORED

    recall: float
    precision: float


class RecallTargetScores(BaseModel):
    """Target recall, the threshold chosen for it, and its scores.

    `probability` is the threshold as a probability, where a model was evaluated; `score` the
    threshold of given predictions. `confidence` is a share: see `RecallTarget`. `expected` are the
    scores on the rows that the threshold was chosen on, `measured` those on the scored rows.
    """

    model_config = _OTHERS_IGNORED

    wanted: float
    probability: float | None = None
    score: float | None = None
    confidence: float
    out_of_reach: bool
    expected: RecallScores
    measured: RecallScores | None = None


class ScoreFile(BaseModel):
    """Scores of a table.

    `gold` is the fingerprint of the rows, `part` the part of the table that was scored. The plain
    numbers in front repeat the main scores, and have the accuracies of a model that writes.
    `decoding` tells by score how the outputs were decoded that it is of. `lost_words` are words of
    the texts, and there only if they were asked for.
    """

    model_config = _OTHERS_IGNORED

    padded_accuracy: float | None = None
    token_accuracy: float | None = None
    exact_match: float | None = None
    span_precision: float | None = None
    span_recall: float | None = None
    span_f1: float | None = None
    part: str | None = None
    rows: int
    documents: int
    gold: str
    scores: dict[str, ScoreValue]
    labels: dict[str, LabelScoreValues] | None = None
    unseen: SubsetScores | None = None
    reliability: list[ReliabilityBin] | None = None
    signature: str
    counts: CountTable
    bootstrap: BootstrapSettings
    replicates: dict[str, str]
    target_recall: RecallTargetScores | None = None
    coverage: CoverageScores | None = None
    lost_words: list[LostWord] | None = None
    decoding: dict[str, str] | None = None

    def samples(self, name: str) -> Array:
        """Return the replicates of a score (R,)."""
        return np.frombuffer(b64decode(self.replicates[name]), dtype="<f4").astype(np.float64)


def make_score_file(scorer: Scorer, *, gold: str) -> ScoreFile:
    """Return the scores of a scorer; `gold` is the fingerprint of the rows."""
    subset, unseen = scorer.all, scorer.unseen
    scores = subset.scores()
    bins = reliability_bins(CountTotals(subset.counts))
    return ScoreFile(
        rows=subset.rows,
        documents=subset.documents,
        gold=gold,
        scores=_values(scores),
        labels=_labels(subset),
        unseen=_subset(unseen) if unseen.rows else None,
        reliability=[_rounded_bin(bin_) for bin_ in bins] or None,
        signature=scorer.signature,
        counts=_count_table(subset.counts),
        bootstrap=BootstrapSettings(
            replicates=scorer.replicates,
            seed=scorer.seed,
            draws=draws_fingerprint(replicates=scorer.replicates, seed=scorer.seed),
            numpy=np.__version__,
        ),
        replicates={
            name: b64encode(score.replicates.astype("<f4").tobytes()).decode()
            for name, score in scores.items()
        },
    )


def recall_target_scores(
    target: RecallTarget,
    *,
    probability: float | None = None,
    score: float | None = None,
    measured: RecallScores | None = None,
) -> RecallTargetScores:
    """Return the scores of a recall target; the threshold is a `probability` or a `score`."""
    return RecallTargetScores(
        wanted=target.target_recall,
        probability=None if probability is None else round(probability, _DIGITS),
        score=None if score is None else round(score, _DIGITS),
        confidence=target.confidence / 100,
        out_of_reach=target.is_out_of_reach,
        expected=RecallScores(
            recall=round(target.expected.recall, _DIGITS),
            precision=round(target.expected.precision, _DIGITS),
        ),
        measured=measured,
    )


def write_score_file(scores: BaseModel, path: Path, *, overwrite: bool) -> None:
    """Write scores as JSON, whole or not at all."""
    with atomic_file(path, overwrite=overwrite) as new:
        content = scores.model_dump_json(indent=1, exclude_none=True)
        new.write_text(content + "\n", encoding="utf-8")


def read_score_file(path: Path) -> ScoreFile:
    """Read what `--json` wrote.

    Raises:
        TableError: the file cannot be read or is not such a file.
    """
    try:
        return ScoreFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TableError(
            f"{path}: cannot be read: {error.strerror}. Name a file that --json wrote."
        ) from error
    except ValidationError as error:
        raise TableError(
            f"{path}: these are not scores that can be compared "
            f"({describe_validation_error(error)}). "
            "Write them with `annoseq score --json` or `annoseq evaluate --json`."
        ) from error


def _subset(subset: SubsetScorer) -> SubsetScores:
    return SubsetScores(
        rows=subset.rows,
        documents=subset.documents,
        scores=_values(subset.scores()),
        labels=_labels(subset),
    )


def _values(scores: dict[str, Score]) -> dict[str, ScoreValue]:
    return {name: _value(score) for name, score in scores.items()}


def _value(score: Score) -> ScoreValue:
    value = round(score.value, _DIGITS)
    if score.interval is None:
        return ScoreValue(value=value)
    low, high = (round(bound, _DIGITS) for bound in score.interval)
    return ScoreValue(value=value, low=low, high=high)


def _labels(subset: SubsetScorer) -> dict[str, LabelScoreValues] | None:
    labels = subset.label_scores()
    return {label: _label(scores) for label, scores in labels.items()} or None


def _label(scores: LabelScores) -> LabelScoreValues:
    return LabelScoreValues(
        gold=scores.gold,
        predicted=scores.predicted,
        precision=_value(scores.precision),
        recall=_value(scores.recall),
        f1=_value(scores.f1),
        partial_f1=round(scores.partial_f1, _DIGITS),
        type_f1=round(scores.type_f1, _DIGITS),
    )


def _rounded_bin(bin_: ReliabilityBin) -> ReliabilityBin:
    values = {name: round(value, _DIGITS) for name, value in bin_}
    return bin_.model_copy(update=values)


def _count_table(counts: Counts) -> CountTable:
    labels: dict[str, dict[str, int]] = {}
    for key, count in counts.items():
        if isinstance(key, LabelCount):
            labels.setdefault(key.label, {})[key.name] = count
    totals = [(key, count) for key, count in counts.items() if isinstance(key, str)]
    return CountTable(
        totals=dict(sorted(totals)),
        labels={label: dict(sorted(named.items())) for label, named in sorted(labels.items())},
        confusion=[
            ConfusionCell(gold=gold, predicted=predicted, count=count)
            for (gold, predicted), count in confusion_matrix(counts).items()
        ],
    )
