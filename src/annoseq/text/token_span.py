"""Spans in tokens, as models find them."""

from __future__ import annotations

from typing import NamedTuple


class TokenSpan(NamedTuple):
    """Tokens `first` to `last` (excluded), the label's number, and the log-probability."""

    first: int
    last: int
    label: int
    score: float


class Marked(NamedTuple):
    """The spans of a row in opening order, and the log-probability of all of them together."""

    spans: list[TokenSpan]
    score: float
