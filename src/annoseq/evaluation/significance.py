"""Significance of the difference between two models' scores: paired bootstrap from score files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from annoseq.errors import OptionError
from annoseq.evaluation.bootstrap import paired_p_value, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from annoseq.evaluation.score_file import ScoreFile

_DIGITS = 6


class ScoreDifference(BaseModel):
    """A score of two models, b less a, the 95 % interval of the difference, and its p-value.

    Differences and their bounds have six digits. There is no interval with too few documents.
    """

    model_config = ConfigDict(frozen=True)

    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


class ScoreDifferences(BaseModel):
    """Differences between two score files, `a` and `b`, by score: what `compare --json` writes."""

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    scores: dict[str, ScoreDifference]


def compare_scores(
    a: ScoreFile, b: ScoreFile, *, names: tuple[str, str] = ("the first", "the second")
) -> dict[str, ScoreDifference]:
    """Compare the scores that both files have, by name; `names` are the files', for messages.

    Raises:
        OptionError: they are not scores of the same rows, or their replicates cannot be paired.
    """
    _check_comparable(a, b, names)
    return {name: _difference(a, b, name) for name in a.scores if name in b.scores}


def difference_lines(differences: Mapping[str, ScoreDifference]) -> Iterator[str]:
    """Render differences as a table."""
    yield f"{'':22} {'a':>9} {'b':>9} {'b - a':>9}   {'95 % of b - a':22} p"
    for name, row in differences.items():
        line = f"{name:22} {row.a:9.4f} {row.b:9.4f} {row.difference:+9.4f}"
        if row.low is not None and row.high is not None and row.p is not None:
            line += f"   {row.low:+.4f} to {row.high:+.4f}     {row.p:.3f}"
        yield line


def _check_comparable(a: ScoreFile, b: ScoreFile, names: tuple[str, str]) -> None:
    first, second = names
    if a.gold != b.gold:
        raise OptionError(
            f"{first} and {second} are scores of different rows ({a.rows:,} and {b.rows:,}; other "
            "fingerprints). Score both models on the same table, whole or the same part of it."
        )
    settings = [
        {"replicates": scores.bootstrap.replicates, "seed": scores.bootstrap.seed}
        for scores in (a, b)
    ]
    if settings[0] != settings[1]:
        raise OptionError(
            f"{first} and {second} were resampled differently ({settings[0]} and {settings[1]}). "
            "Score both with the same version of annoseq."
        )
    if a.bootstrap.draws != b.bootstrap.draws:
        raise OptionError(
            f"{first} and {second} were resampled with different random draws (numpy "
            f"{a.bootstrap.numpy} and {b.bootstrap.numpy}), so that their replicates cannot be "
            "paired. Score both with the same version of numpy."
        )


def _difference(a: ScoreFile, b: ScoreFile, name: str) -> ScoreDifference:
    ours, theirs = a.scores[name].value, b.scores[name].value
    difference = ScoreDifference(a=ours, b=theirs, difference=round(theirs - ours, _DIGITS))
    if name not in a.replicates or name not in b.replicates:
        return difference
    samples = a.samples(name), b.samples(name)
    interval = percentile_interval(samples[1] - samples[0], documents=a.documents)
    if interval is None:
        return difference
    return difference.model_copy(
        update={
            "low": round(interval.low, _DIGITS),
            "high": round(interval.high, _DIGITS),
            "p": paired_p_value(*samples),
        }
    )
