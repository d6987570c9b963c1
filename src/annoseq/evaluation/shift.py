"""Shift test: do new notes look, to a model, like the documents that it was certified on?

A bound holds for documents that are exchangeable with those that it was measured on. Of unlabelled
notes nobody knows what is missed, but they have coverage scores. Two figures of each document are
compared: the share of its characters that is marked, and the uncertainty of its scores. The
statistic is the larger of their two Kolmogorov-Smirnov distances, and its p-value that of a
permutation test (Lehmann and Romano, "Testing Statistical Hypotheses", 15.2): exact for any
distribution and any ties, with one level for both figures. A small p-value says that the notes
differ; a large one does not prove that they do not.

Shapes: N documents, F = 2 figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import Array

LEVEL = 0.05
"""Probability that notes like the certified ones are called different."""
PERMUTATIONS = 1_999
_SEED = 0
_FEWEST = 5
"""Documents of each side: of fewer, no difference could be significant."""


class DocumentFigures(NamedTuple):
    """Share of a document's characters that is marked, and the mean variance of their scores."""

    marked: float
    uncertainty: float


class ShiftTest(BaseModel):
    """Comparison of new notes with the certified documents: means of both, and the p-value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: int
    new_documents: int
    p_value: float
    marked: float
    new_marked: float
    uncertainty: float
    new_uncertainty: float

    @property
    def is_shifted(self) -> bool:
        """True if the notes differ at the level of 5 %."""
        return self.p_value <= LEVEL

    @property
    def statement(self) -> str:
        """The result in a sentence."""
        verdict = (
            "differ from the certified documents: the bound does not hold for them"
            if self.is_shifted
            else "do not differ measurably from the certified documents"
        )
        return (
            f"{count_noun(self.new_documents, 'new note')} {verdict} (p-value {self.p_value:.4g}; "
            f"marked characters {self.new_marked:.2%} and {self.marked:.2%}, uncertainty "
            f"{self.new_uncertainty:.2e} and {self.uncertainty:.2e})."
        )


def document_figures(
    rows: Iterable[tuple[str, Sequence[Span]]], *, threshold: float
) -> DocumentFigures:
    """Return the figures of a document: its texts, each with its scored parts.

    White space does not count. A part without a score is one of the likeliest spans.
    """
    characters = 0
    marked = uncertainty = 0.0
    for text, parts in rows:
        characters += _length(text)
        for part in parts:
            score = 1.0 if part.score is None else part.score
            length = _length(text[part.start : part.end])
            marked += length * (score >= threshold)
            uncertainty += length * score * (1 - score)
    return DocumentFigures(marked / max(characters, 1), uncertainty / max(characters, 1))


def _length(text: str) -> int:
    return sum(not character.isspace() for character in text)


def compare_documents(
    reference: Sequence[DocumentFigures],
    new: Sequence[DocumentFigures],
    *,
    permutations: int = PERMUTATIONS,
) -> ShiftTest:
    """Test if new documents have other figures than those of the reference.

    Raises:
        OptionError: there are too few documents for any difference to be significant.
    """
    for figures, name in ((reference, "certified document"), (new, "new note")):
        if len(figures) < _FEWEST:
            raise OptionError(
                f"{count_noun(len(figures), name)} cannot be compared: at least {_FEWEST} of each "
                "side are needed, and some dozens to see a difference. Give more."
            )
    values = np.array([*reference, *new], dtype=np.float64)  # (N, F)
    mean, new_mean = np.mean(reference, axis=0), np.mean(new, axis=0)
    return ShiftTest(
        documents=len(reference),
        new_documents=len(new),
        p_value=permutation_p_value(values, len(reference), permutations=permutations),
        marked=float(mean[0]),
        new_marked=float(new_mean[0]),
        uncertainty=float(mean[1]),
        new_uncertainty=float(new_mean[1]),
    )


def permutation_p_value(values: Array, first: int, *, permutations: int) -> float:
    """Return the p-value of the largest distance between the `first` rows (N, F) and the others."""
    orders = values.argsort(0, kind="stable")  # (N, F)
    ranked = np.take_along_axis(values, orders, 0)
    # Between equal values the two distributions are not compared.
    is_end = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, values.shape[1]), dtype=bool)])
    is_first = np.arange(len(values)) < first
    generator = np.random.default_rng(_SEED)
    observed = _distance(is_first, orders, is_end, first)
    extreme = sum(
        _distance(generator.permutation(is_first), orders, is_end, first) >= observed
        for _ in range(permutations)
    )
    return (1 + extreme) / (1 + permutations)


def _distance(
    is_first: NDArray[np.bool_], orders: NDArray[np.intp], is_end: NDArray[np.bool_], first: int
) -> float:
    """Return the largest Kolmogorov-Smirnov distance over the figures."""
    steps = np.where(is_first, 1 / first, -1 / (len(is_first) - first))[orders]  # (N, F)
    return float(np.abs(np.where(is_end, steps.cumsum(0), 0.0)).max().round(12))
