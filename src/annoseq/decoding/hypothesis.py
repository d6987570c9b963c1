"""What a search returns: outputs with the probability of every step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An output and the log-probability of each of its symbols.

    The end symbol is not among `ids`, but its log-probability is the last of `log_probs`. An
    output that reached its limit `has_ended` not.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    has_ended: bool

    @property
    def score(self) -> float:
        """The log-probability of the whole output: the sum over its steps."""
        return sum(self.log_probs)
