"""Whether thresholds keep their word: chosen on some documents, measured on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.evaluation.recall_thresholds import (
    ExpectedScores,
    Thresholds,
    choose_thresholds,
    gold_scores,
    measure_thresholds,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison

    Row = tuple[Sequence[Span], Sequence[Span]]


class Promise(NamedTuple):
    """Thresholds chosen on all documents, and what to expect of them.

    `measured` is of every other document under thresholds chosen on the rest, and the other way
    round: no document is measured under thresholds that it helped to choose.
    """

    thresholds: Thresholds
    measured: ExpectedScores

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        measured = {"recall": self.measured.recall, "precision": self.measured.precision}
        return {**self.thresholds.model_dump(mode="json"), "measured": measured}


def make_promise(documents: Iterable[Sequence[SpanComparison]], *, target_recall: float) -> Promise:
    """Choose thresholds for a wanted recall, and measure them on documents left out."""
    halves: tuple[list[Row], list[Row]] = ([], [])
    for number, document in enumerate(documents):
        halves[number % 2].extend((row.gold, row.predicted) for row in document)

    def chosen(rows: Iterable[Row]) -> Thresholds:
        return choose_thresholds(gold_scores(rows), target_recall=target_recall)

    parts = [measure_thresholds(other, chosen(half)) for half, other in (halves, halves[::-1])]
    measured = ExpectedScores(*map(sum, zip(*parts, strict=True)))
    return Promise(chosen([*halves[0], *halves[1]]), measured)


def promise_lines(promise: Promise) -> Iterator[str]:
    """Write thresholds, and what to expect of them."""
    thresholds, measured = promise
    wanted = f"{thresholds.target_recall:g}"
    yield f"for a recall of {wanted}, keep spans scored at least {thresholds.overall:.4f}"
    for label, threshold in thresholds.labels.items():
        yield f"  {label}: {threshold:.4f}"
    yield (
        f"on documents left out: recall {measured.recall:.4f} (wanted {wanted}), "
        f"precision {measured.precision:.4f}"
    )
    if thresholds.out_of_reach:
        names = ", ".join(label or "all labels together" for label in thresholds.out_of_reach)
        yield f"out of reach, as too many spans have no candidate at all: {names}"
