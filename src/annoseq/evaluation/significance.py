"""What two models' scores of the same rows differ by, and whether chance explains it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from annoseq.errors import OptionError
from annoseq.evaluation.bootstrap import paired_p_value, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from annoseq.evaluation.score_file import ScoreFile


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """A score of two models, b less a, where 95 % of the paired replicates lie, and p."""

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, rounded."""
        return {
            name: None if value is None else round(value, 6) for name, value in asdict(self).items()
        }


def compare_scores(
    a: ScoreFile, b: ScoreFile, *, names: tuple[str, str] = ("the first", "the second")
) -> dict[str, ScoreDifference]:
    """Compare the scores that both have, by name; `names` are the files', for messages.

    Raises:
        OptionError: they are not scores of the same rows, or were resampled differently.
    """
    _check(a, b, names)
    return {name: _difference(a, b, name) for name in a.scores if name in b.scores}


def difference_lines(differences: Mapping[str, ScoreDifference]) -> Iterator[str]:
    """Write differences as a table."""
    yield f"{'':20} {'a':>9} {'b':>9} {'b - a':>9}   {'95 % of b - a':22} p"
    for name, one in differences.items():
        line = f"{name:20} {one.a:9.4f} {one.b:9.4f} {one.difference:+9.4f}"
        if one.low is not None and one.high is not None and one.p is not None:
            line += f"   {one.low:+.4f} to {one.high:+.4f}     {one.p:.3f}"
        yield line


def _check(a: ScoreFile, b: ScoreFile, names: tuple[str, str]) -> None:
    first, second = names
    if a.gold != b.gold:
        raise OptionError(
            f"{first} and {second} are scores of different rows ({a.rows:,} and {b.rows:,}; other "
            "fingerprints). Score both models on the same table, whole or the same part of it."
        )
    if a.bootstrap != b.bootstrap:
        raise OptionError(
            f"{first} and {second} were resampled differently ({a.bootstrap} and {b.bootstrap}). "
            "Score both with the same version of annoseq."
        )


def _difference(a: ScoreFile, b: ScoreFile, name: str) -> ScoreDifference:
    ours, theirs = a.scores[name].value, b.scores[name].value
    low = high = p = None
    if name in a.replicates and name in b.replicates:
        samples = a.samples(name), b.samples(name)
        place = percentile_interval(samples[1] - samples[0], documents=a.documents)
        if place:
            (low, high), p = place, paired_p_value(*samples)
    return ScoreDifference(ours, theirs, theirs - ours, low, high, p)
