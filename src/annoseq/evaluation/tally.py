"""All counts of a document, for the scores to be made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.evaluation.confusion import count_confusions
from annoseq.evaluation.coverage import (
    count_characters,
    count_document,
    count_merged,
    count_sentences,
)
from annoseq.evaluation.fidelity import count_faults
from annoseq.evaluation.matching import SCHEMES, count_matches
from annoseq.evaluation.reliability import count_reliability
from annoseq.evaluation.statistics import Statistics, add

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from annoseq.evaluation.comparison import Comparison
    from annoseq.evaluation.matching import Scheme
    from annoseq.evaluation.text_scores import TextScorer
    from annoseq.pairs.markup import Span

_OF_ONE_LABEL: tuple[Scheme, ...] = ("strict", "partial", "type")
"""Among spans of one label, exact is strict."""


@dataclass(frozen=True)
class Tally:
    """Counts documents. `labels` are those that an output may use; `text` counts BLEU and others.

    Without `has_spans` (where models translate), spans are not counted.
    """

    labels: Collection[str]
    text: TextScorer | None = None
    has_spans: bool = True

    def count(self, rows: Sequence[Comparison]) -> Statistics:
        """Count the rows of one document."""
        counts = Statistics({"rows": len(rows), "documents": 1})
        for row in rows:
            if self.has_spans:
                add(counts, _count_spans(row))
            if row.output is not None:
                add(counts, self._count_output(row, row.output))
        if self.has_spans and any(row.gold or row.predicted for row in rows):
            add(counts, count_merged(rows))
            add(counts, count_document(rows))
        return counts

    def _count_output(self, row: Comparison, output: str) -> Statistics:
        counts = Statistics()
        if self.has_spans:
            add(counts, count_faults(row.text, output, labels=self.labels))
        if row.target is not None:
            add(counts, {"output.rows": 1, "output.exact": int(output == row.target)})
            if self.text:
                add(counts, self.text.count(output, row.target))
        return counts


def _count_spans(row: Comparison) -> Statistics:
    counts = Statistics({"sentences": count_sentences(row.text)})
    gold, predicted = sorted(row.gold), sorted(row.predicted)
    counts["perfect_rows"] = int(gold == predicted)
    if not gold and not predicted:
        return counts
    add(counts, _count_schemes(gold, predicted, SCHEMES))
    labels = {span.label for span in (*gold, *predicted)}
    for label in labels:
        golds, found = gold, predicted
        if len(labels) > 1:
            golds = [span for span in gold if span.label == label]
            found = [span for span in predicted if span.label == label]
        add(counts, _count_schemes(golds, found, _OF_ONE_LABEL, at=f"@{label}"))
    add(counts, count_characters(row.text, gold, predicted))
    add(counts, count_confusions(gold, predicted))
    add(counts, count_reliability(gold, predicted))
    return counts


def _count_schemes(
    gold: Sequence[Span], predicted: Sequence[Span], schemes: Sequence[Scheme], *, at: str = ""
) -> dict[str, int]:
    """Count spans in order, `at` ending the counts' names."""
    if gold == predicted:  # most rows of a good model
        return {f"{scheme}.correct{at}": len(gold) for scheme in schemes}
    return {
        f"{scheme}.{verdict}{at}": count
        for scheme in schemes
        for verdict, count in count_matches(gold, predicted, scheme=scheme).items()
    }
