"""Simulation of the threshold for a target coverage: how often is the target missed?

The documents of a population are drawn with replacement. Each sample chooses a threshold as the
calibration of a model does, and fails if the coverage of the whole population at that threshold is
below the target: it has no error of its own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annoseq.evaluation.certificate import RiskBound, score_units
from annoseq.evaluation.coverage import CoverageCounts, ScoreHistogram
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR, ClusterSums
from annoseq.evaluation.recall_thresholds import threshold_bin
from benchmarks.measure import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.data.examples import Example
    from annoseq.inference.annotator import Annotator

SHARES = (0.97, 0.98, 0.985, 0.99, 0.995)
"""Target coverages."""
_PERMUTATIONS = 1_999
_EMPTY = ScoreHistogram()

Documents = list[list[int | None]]
"""Bins of the identifiers of each document, None of one that can never be covered."""


class Outcome(NamedTuple):
    """Shares of samples: with a promise that fails, the same for independent identifiers, without
    a promise; and the mean coverage of the population at the thresholds of those with one."""

    failed: float
    failed_independent: float
    refused: float
    coverage: float


def score_documents(annotator: Annotator, examples: Sequence[Example]) -> Documents:
    """Return the bins of the identifiers of each document."""
    parts = annotator.score_coverage([example.source for example in examples])
    units = score_units(examples, parts, RiskBound(missed=0.5, confidence=0.5))
    return [[identifier.bin for identifier in unit] for unit in units]


def count_documents(documents: Documents, *, are_independent: bool = False) -> CoverageCounts:
    """Return the counts from which a threshold is chosen; identifiers alone are counted."""
    bins, sums, unscored = Counter[int](), ClusterSums(), 0
    filled = [document for document in documents if document]
    for document in filled:
        known = [bin_ for bin_ in document if bin_ is not None]
        bins.update(known)
        unscored += len(document) - len(known)
        sums.add(known, unscored=len(document) - len(known))
    ordered = tuple(sorted(bins.items(), reverse=True))
    return CoverageCounts(
        floor=COVERAGE_FLOOR,
        clustering=1.0,
        clusterings=() if are_independent else tuple(sums.design_effects()),
        identifiers={"": ScoreHistogram(bins=ordered, unscored=unscored)},
        documents=ScoreHistogram(unscored=len(filled)),
        characters=_EMPTY,
        tokens=_EMPTY,
        other_tokens=_EMPTY,
    )


def simulate(population: Documents, *, size: int, samples: int, seed: int) -> dict[float, Outcome]:
    """Choose the thresholds of all targets on samples; return the outcome of each target."""
    whole = count_documents(population)
    generator = np.random.default_rng(seed)
    found: dict[float, list[tuple[float, float]]] = {share: [] for share in SHARES}
    for _ in range(samples):
        chosen = [population[index] for index in generator.integers(0, len(population), size)]
        both = count_documents(chosen), count_documents(chosen, are_independent=True)
        for share, outcomes in found.items():
            first, second = (_coverage(counts, whole, share) for counts in both)
            outcomes.append((first, second))
    return {share: _outcome(share, np.array(outcomes)) for share, outcomes in found.items()}


def _coverage(counts: CoverageCounts, whole: CoverageCounts, share: float) -> float:
    """Return the coverage of the population at the chosen threshold, nan without a promise."""
    target = counts.choose_threshold(share)
    return whole.point(target.threshold).coverage if target.confidence else np.nan


def _outcome(share: float, coverages: np.ndarray) -> Outcome:
    promised = coverages[~np.isnan(coverages[:, 0]), 0]
    failed, independent = (coverages < share).mean(0).tolist()
    refused = 1 - len(promised) / len(coverages)
    return Outcome(failed, independent, refused, float(promised.mean()) if len(promised) else 0.0)


def split_worst(documents: Documents, threshold: float) -> tuple[Sequence[int | None], Documents]:
    """Return the document that misses most identifiers at a threshold, and the others."""
    worst = max(range(len(documents)), key=lambda index: _missed(documents[index], threshold))
    return documents[worst], [*documents[:worst], *documents[worst + 1 :]]


def _missed(document: Sequence[int | None], threshold: float) -> int:
    least = threshold_bin(threshold)
    return sum(bin_ is None or bin_ < least for bin_ in document)


def simulation_table(populations: Mapping[str, Documents], *, size: int, samples: int) -> str:
    """Simulate samples of `size` documents of each population; return the table."""
    rows = [
        [
            *(name, f"{share:g}", f"{one.failed:.3f}", f"{one.failed_independent:.3f}"),
            *(f"{one.refused:.3f}", f"{one.coverage:.4f}" if one.coverage else ""),
        ]
        for name, documents in populations.items()
        for share, one in simulate(documents, size=size, samples=samples, seed=0).items()
    ]
    head = [
        *("documents", "target coverage", "missed, of the samples"),
        *("missed if identifiers were independent", "no promise", "covered, mean"),
    ]
    return markdown_table(head, rows)


def transfer_table(chosen_on: Documents, new: Documents) -> str:
    """Compare the coverage of new documents with that of those that chose the threshold."""
    counts, measured = count_documents(chosen_on), count_documents(new)
    rows = []
    for share in SHARES:
        target = counts.choose_threshold(share)
        worst, others = split_worst(new, target.threshold)
        all_missed = sum(_missed(document, target.threshold) for document in new)
        rest = count_documents(others)
        rows.append(
            [
                *(f"{share:g}", f"{target.confidence}%" if target.confidence else "none"),
                f"{target.expected.coverage:.4f}",
                f"{measured.point(target.threshold).coverage:.4f}",
                f"{rest.point(target.threshold).coverage:.4f}",
                f"{_missed(worst, target.threshold)} of its {len(worst)}, of {all_missed}",
                f"{difference_p_value(chosen_on, new, target.threshold):.3f}",
            ]
        )
    head = [
        *("target coverage", "confidence", "covered, calibration documents"),
        *("covered, dev documents", "without the one with most misses"),
        *("misses in that one, of all", "p-value"),
    ]
    return markdown_table(head, rows)


def difference_p_value(documents: Documents, others: Documents, threshold: float) -> float:
    """Return the p-value of a permutation test that both have the same coverage."""
    table = np.array(
        [(_missed(one, threshold), len(one)) for one in (*documents, *others)], dtype=np.float64
    )
    generator = np.random.default_rng(0)
    observed = _difference(table, len(documents))
    extreme = sum(
        _difference(generator.permutation(table), len(documents)) >= observed
        for _ in range(_PERMUTATIONS)
    )
    return (1 + extreme) / (1 + _PERMUTATIONS)


def _difference(table: np.ndarray, first: int) -> float:
    """Return the difference of the shares missed in the first documents and in the others."""
    (missed, sizes), (other_missed, other_sizes) = table[:first].sum(0), table[first:].sum(0)
    return float(round(abs(missed / sizes - other_missed / other_sizes), 12))
