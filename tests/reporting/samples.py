"""Rows with every type of error, and texts that look like markup."""

from __future__ import annotations

from annoseq.data.markup import Span
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.score_file import ScoreFile, make_score_file
from annoseq.evaluation.scorer import Scorer
from annoseq.models.model_config import EpochRecord, TrainingHistory

HOSTILE = "</script><img src=x onerror=alert(1)> & 'x' \"y\" \u2028 <!-- 😀 Ames ]]>"
PLACE = HOSTILE.index("Ames")
SECRET = "Xanthippe"


def comparison(number: int, text: str, gold: list[Span], predicted: list[Span]) -> SpanComparison:
    return SpanComparison(
        f"r{number}", text, tuple(gold), tuple(predicted), document=f"d{number}", is_unseen=True
    )


def sample_rows() -> list[SpanComparison]:
    """Return rows with one error of each type, and 60 more missed spans."""
    text = f"{SECRET} saw Dr. Ames in Rome on 12 May 2020."
    name = Span(0, 9, "NAME")
    cases: list[tuple[list[Span], list[Span]]] = [
        ([name], []),
        ([], [Span(14, 17, "NAME", 0.31)]),
        ([name], [Span(0, 9, "CITY", 0.99)]),
        ([name], [Span(0, 13, "NAME", 0.5)]),
        ([name], [Span(0, 4, "NAME", 0.6)]),
        ([name], [Span(4, 13, "NAME", 0.7)]),
        ([Span(34, 45, "DATE")], [Span(34, 36, "DATE", 0.8), Span(37, 45, "DATE", 0.4)]),
        ([Span(18, 22, "NAME"), Span(26, 30, "CITY")], [Span(18, 30, "NAME", 0.2)]),
    ]
    rows = [comparison(place, text, *case) for place, case in enumerate(cases, 1)]
    rows.append(
        comparison(9, HOSTILE, [Span(PLACE, PLACE + 4, "<b>")], [Span(PLACE, PLACE + 4, "<b>", 1)])
    )
    rows.append(comparison(10, HOSTILE, [Span(PLACE, PLACE + 4, "<b>")], []))
    rows += [comparison(20 + n, f"row {n} has Bond", [Span(10, 14, "NAME")], []) for n in range(59)]
    return rows


def scores_of(rows: list[SpanComparison]) -> ScoreFile:
    scorer = Scorer(labels=["NAME"], replicates=100)
    scorer.add_all([row] for row in rows)
    return make_score_file(scorer, gold="0123456789abcdef")


def sample_history() -> TrainingHistory:
    """A training of two epochs, the third and the fourth of their model."""
    scores = [{"span_precision": 0.5, "span_f1": 0.25}, {"span_precision": 0.75, "span_f1": 0.5}]
    return TrainingHistory(
        epochs=tuple(
            EpochRecord(
                epoch=3 + place, train_loss=4.0 - place, valid_loss=3.5 - 2 * place, scores=one
            )
            for place, one in enumerate(scores)
        ),
        steps=1200,
        losses=(4.0, 3.0, 2.0, 1.0),
        rates=(0.001, 0.002, 0.001, 0.0),
    )
