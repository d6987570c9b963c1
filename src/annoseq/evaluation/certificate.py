"""Certificate of coverage: a threshold, the risk that it controls, and all that this rests on."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from annoseq._version import __version__
from annoseq.errors import OptionError, count_noun, describe_validation_error
from annoseq.evaluation.coverage import CoveragePoint, CoverageTarget
from annoseq.evaluation.coverage_counter import PartScores
from annoseq.evaluation.recall_thresholds import lowest_score, score_bin
from annoseq.evaluation.risk_control import (
    conformal_risk_control,
    learn_then_test,
    p_value,
    units_needed,
)
from annoseq.evaluation.shift import ShiftTest
from annoseq.evaluation.span_matching import unique_spans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.coverage import CoverageCounts

Unit = Literal["document", "patient"]
Loss = Literal["share", "any"]
"""Loss of a unit: the share of its identifiers that are missed, or 1 if any is."""


class ScoredIdentifier(NamedTuple):
    """Bin of an identifier's coverage score, None if it can never be covered, and its weight."""

    bin: int | None
    weight: float


class RiskBound(BaseModel):
    """The bound that is asked for: with `confidence`, the mean loss of units is at most `missed`.

    `weights` are those of the identifiers of a label in the share that is missed; others weigh 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    missed: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    unit: Unit = "document"
    loss: Loss = "share"
    weights: dict[str, float] = {}


class ReviewLoad(BaseModel):
    """Text marked at a threshold that somebody reviews, as means per document, and as shares.

    `spans` are the marked passages: neighbouring parts of a label are one. `text_share` is the
    share of all characters that are marked, `other_share` that of the tokens in no identifier.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: int
    spans: float
    tokens: float
    characters: float
    text_share: float
    other_share: float

    @property
    def statement(self) -> str:
        """The means per document in a sentence."""
        return (
            f"to review in a document: {self.spans:,.1f} marked spans, {self.tokens:,.1f} tokens, "
            f"{self.characters:,.1f} characters, {self.text_share:.2%} of its text"
        )


class Certificate(BaseModel):
    """Threshold with a bound on what it misses. There is no text in it.

    `p_value` is that of a higher risk at the threshold, `observed_loss` the mean loss of the units.
    `model` and `data` are the fingerprints of the weights and of the rows; `expected_threshold`
    bounds the same risk in expectation only (conformal risk control), None if no threshold does.
    `shift` compares new notes with the certified documents, if some were given. `review_load` is
    None in a certificate of a version that did not state it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    annoseq: str
    date: str
    model: str
    data: str
    bound: RiskBound
    units: int
    threshold: float
    p_value: float
    observed_loss: float
    expected_threshold: float | None
    measured: CoveragePoint
    scope: tuple[str, ...]
    shift: ShiftTest | None = None
    review_load: ReviewLoad | None = None

    @property
    def statement(self) -> str:
        """The bound in a sentence."""
        bound = self.bound
        measure = (
            f"the mean share of missed identifiers in a {bound.unit}"
            if bound.loss == "share"
            else f"the share of {bound.unit}s with a missed identifier"
        )
        return (
            f"With a confidence of {bound.confidence:.4g}, {measure} is at most {bound.missed:.4g}."
        )

    @property
    def clean_units(self) -> tuple[int, int]:
        """Number of units with identifiers and no missed one, and of those with identifiers."""
        if self.bound.unit == "patient":
            return self.measured.clean_patients, self.measured.patients
        return self.measured.clean_documents, self.measured.documents

    def target(self, *, model: str, name: str) -> CoverageTarget:
        """Return the target that marks at the threshold.

        Raises:
            OptionError: the certificate is of another model.
        """
        if model != self.model:
            raise OptionError(
                f"{name}: this certificate is of the model {self.model[:12]}, and this one is "
                f"{model[:12]}. Give the model that was certified, or certify this one."
            )
        return CoverageTarget(
            target_coverage=1 - self.bound.missed,
            expected=self.measured,
            confidence=round(100 * self.bound.confidence),
            is_out_of_reach=False,
            statement=self.statement,
        )


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises:
        OptionError: the file cannot be read or is no certificate.
    """
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be read: {error.strerror}. Name a certificate."
        ) from None
    except ValidationError as error:
        raise OptionError(
            f"{path}: this is no certificate of `annoseq certify` "
            f"({describe_validation_error(error)}). Name the JSON file that it wrote."
        ) from None


def make_certificate(
    units: Sequence[Sequence[ScoredIdentifier]],
    counts: CoverageCounts,
    bound: RiskBound,
    *,
    model: str,
    data: str,
    scope: Sequence[str] = (),
) -> Certificate:
    """Choose the highest threshold whose risk is controlled; units without identifiers count, too.

    Raises:
        OptionError: no threshold controls the risk; the message says how many units would be
            needed, or that too much is missed.
    """
    bins, losses = loss_table(units, bound.loss)
    delta = 1 - bound.confidence
    index = learn_then_test(losses, risk=bound.missed, delta=delta)
    if index is None:
        raise OptionError(_refusal(losses, bound, units=len(units)))
    expected = conformal_risk_control(losses, risk=bound.missed)
    return Certificate(
        annoseq=__version__,
        date=datetime.now(UTC).date().isoformat(),
        model=model,
        data=data,
        bound=bound,
        units=len(units),
        threshold=lowest_score(bins[index]),
        p_value=p_value(losses[index], risk=bound.missed, delta=delta),
        observed_loss=float(losses[index].mean()),
        expected_threshold=None if expected is None else lowest_score(bins[expected]),
        measured=counts.point(lowest_score(bins[index])),
        scope=tuple(scope),
    )


def measure_review_load(
    examples: Sequence[Example], spans: Sequence[Sequence[Span]], measured: CoveragePoint
) -> ReviewLoad:
    """Count the text in the marked spans of examples; `measured` are their tokens."""
    passages = marked = characters = 0
    for example, row_spans in zip(examples, spans, strict=True):
        reach = 0
        for span in sorted(row_spans, key=lambda span: (span.start, -span.end)):
            passages += span.start >= reach
            marked += max(0, span.end - max(span.start, reach))
            reach = max(reach, span.end)
        characters += len(example.source)
    documents = len({example.document or example.row for example in examples})
    each = max(documents, 1)
    return ReviewLoad(
        documents=documents,
        spans=passages / each,
        tokens=(measured.marked_tokens + measured.marked_other_tokens) / each,
        characters=marked / each,
        text_share=marked / max(characters, 1),
        other_share=measured.other_share,
    )


def score_units(
    examples: Sequence[Example], parts: Sequence[Sequence[Span]], bound: RiskBound
) -> list[list[ScoredIdentifier]]:
    """Score the identifiers of each unit of examples, whose texts have these scored parts."""
    units: dict[str | int, list[ScoredIdentifier]] = {}
    for example, text_parts in zip(examples, parts, strict=True):
        scores = PartScores(text_parts)
        name = example.patient if bound.unit == "patient" else example.document
        unit = units.setdefault(name or example.row, [])
        for span in unique_spans(example.tight_spans):
            score = scores.lowest(example.source, span.start, span.end)
            bin_ = None if score is None else score_bin(score)
            unit.append(ScoredIdentifier(bin_, bound.weights.get(span.label, 1.0)))
    return list(units.values())


def loss_table(units: Sequence[Sequence[ScoredIdentifier]], loss: Loss) -> tuple[list[int], Array]:
    """Return the bins of all scores, lowest first, and the losses (T, U) at their thresholds."""
    bins = sorted(
        {identifier.bin for unit in units for identifier in unit if identifier.bin is not None}
    ) or [0]
    losses = np.array([_losses(unit, bins, loss) for unit in units]).reshape(-1, len(bins)).T
    return bins, losses


def _losses(unit: Sequence[ScoredIdentifier], bins: Sequence[int], loss: Loss) -> Array:
    """Return the loss of a unit at the threshold of each bin."""
    order = sorted(unit, key=lambda identifier: -inf if identifier.bin is None else identifier.bin)
    scores = [-inf if identifier.bin is None else identifier.bin for identifier in order]
    weights = np.cumsum([0.0, *(identifier.weight for identifier in order)])
    missed = weights[np.searchsorted(scores, bins)]
    if loss == "any":
        return (np.searchsorted(scores, bins) > 0).astype(np.float64)
    return missed / weights[-1] if weights[-1] else np.zeros(len(bins))


def _refusal(losses: Array, bound: RiskBound, *, units: int) -> str:
    least = float(losses[0].mean()) if units else 0.0
    given = count_noun(units, bound.unit)
    needed = units_needed(losses[0], risk=bound.missed, delta=1 - bound.confidence)
    if needed is None:
        return (
            f"even if everything is marked that the model may take for an identifier, the loss is "
            f"{least:.4g} on {given}, and at most {bound.missed:.4g} was asked for. Ask for more, "
            "or train a better model."
        )
    return (
        f"{given} are too few to bound a risk of {bound.missed:.4g} with a confidence of "
        f"{bound.confidence:.4g}: about {needed:,} are needed. Give more of them, or ask for less."
    )
