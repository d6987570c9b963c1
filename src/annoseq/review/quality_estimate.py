"""Estimated F1 of a model on the decided documents of the random share, and two models compared.

Only documents of the random share count, in their random order, up to the first that nobody has
decided on: whatever order reviewers work in, they are a random sample of the project. Documents
that are skipped or disputed are left out and counted. The random share is never trained on.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.score_file import make_score_file
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.significance import compare_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.scorer import Score
    from annoseq.evaluation.significance import ScoreDifference
    from annoseq.review.project import ReviewProject
    from annoseq.review.project_records import ReviewDocument

_SCORE = "span_f1"


class RandomSample(NamedTuple):
    """Decided documents of the random share, each with its rows, and their final spans by row.

    `left_out` is the number of documents before the last one that are skipped or disputed.
    """

    documents: list[list[ReviewDocument]]
    gold: dict[int, tuple[Span, ...]]
    left_out: int

    @property
    def rows(self) -> list[ReviewDocument]:
        """All rows, in order."""
        return [row for rows in self.documents for row in rows]


def random_sample(project: ReviewProject) -> RandomSample:
    """Return the decided documents of the random share, up to the first that is undecided."""
    drawn = [each for each in project.documents.values() if each.in_random_share]
    drawn.sort(key=lambda each: each.rank)
    sample = RandomSample([], {}, 0)
    waiting = 0
    for _, group in groupby(drawn, key=lambda each: each.group):
        rows = list(group)
        settled = [project.settled(row.id) for row in rows]
        if all(settled):
            sample.documents.append(rows)
            sample.gold.update(
                (row.id, each.spans) for row, each in zip(rows, settled, strict=True) if each
            )
            sample = sample._replace(left_out=sample.left_out + waiting)
            waiting = 0
        elif any(
            each is None and project.is_open(row.id)
            for row, each in zip(rows, settled, strict=True)
        ):
            break
        else:
            waiting += 1
    return sample


def estimate_f1(project: ReviewProject, sample: RandomSample) -> Score | None:
    """Return the F1 of the model in use on a sample, None if that is empty."""
    if not sample.documents:
        return None
    predicted = {row.id: project.prediction(row.id).spans for row in sample.rows}
    return _scorer(sample, predicted).all.scores()[_SCORE]


def compare_models(
    sample: RandomSample,
    old: Mapping[int, Sequence[Span]],
    new: Mapping[int, Sequence[Span]],
) -> ScoreDifference | None:
    """Return the F1 of two models on a sample and its difference, None if the sample is empty.

    `old` and `new` are their spans by row.
    """
    if not sample.documents:
        return None
    files = [make_score_file(_scorer(sample, spans), gold="random share") for spans in (old, new)]
    return compare_scores(files[0], files[1])[_SCORE]


def _scorer(sample: RandomSample, predicted: Mapping[int, Sequence[Span]]) -> Scorer:
    labels = {span.label for spans in sample.gold.values() for span in spans}
    scorer = Scorer(labels=labels | {s.label for spans in predicted.values() for s in spans})
    scorer.add_all(
        [
            SpanComparison(
                id=str(row.id),
                text=row.text,
                gold=sample.gold[row.id],
                predicted=tuple(predicted[row.id]),
                document=row.doc_id,
                start=row.start,
            )
            for row in rows
        ]
        for rows in sample.documents
    )
    return scorer
