"""Parametric learning curves: score as a function of the number of documents, by least squares.

Three forms, each with n documents and parameters that are fitted: the inverse power law
`a - b * n ** -c` (Figueroa, Zeng-Treitler, Kandula and Ngo 2012, "Predicting sample size required
for classification performance"), the exponential `a - b * exp(-n / c)`, and the logarithm
`a + b * log(n)`. All rise (b is at least 0), and none exceeds 1. With c given, a form is linear in
a and b: c is searched on a grid, and the whole is solved for many curves at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array

CurveForm = Literal["power law", "exponential", "logarithmic"]
FORMS: tuple[CurveForm, ...] = get_args(CurveForm)
MIN_POINTS = 4
"""Points of a curve: a form has three parameters, and one point is left out to choose it."""
_EXPONENTS = np.geomspace(0.05, 2.0, 40)
"""Exponents of the power law."""
_SCALES = np.geomspace(0.1, 10.0, 40)
"""Scales of the exponential, as multiples of the largest number of documents."""


@dataclass(frozen=True, slots=True)
class FittedCurves:
    """R fitted curves of one form: parameters `a`, `b` and `c`, each (R,)."""

    form: CurveForm
    a: Array
    b: Array
    c: Array

    def predict(self, documents: float) -> Array:
        """Return the scores (R,) at a number of documents, between 0 and 1."""
        basis = _basis(self.form, np.asarray(documents, dtype=np.float64), self.c)
        return np.clip(self.a - self.b * basis, 0.0, 1.0)

    def documents_for(self, score: float) -> Array:
        """Return the numbers of documents (R,) at which a score is reached, infinite if never."""
        basis = np.full_like(self.a, -np.inf)
        np.divide(self.a - score, self.b, out=basis, where=self.b > 0)
        reached = np.where(self.a >= score, 0.0, np.inf)  # of curves that do not rise
        rises = self.b > 0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            match self.form:
                case "power law":
                    found = np.where(basis > 0, basis ** (-1 / self.c), np.inf)
                case "exponential":
                    found = np.where(basis > 0, -self.c * np.log(basis), np.inf)
                case "logarithmic":
                    found = np.exp(-basis) if score <= 1 else np.full_like(basis, np.inf)
        return np.where(rises, np.maximum(found, 0.0), reached)


class ChosenCurves(NamedTuple):
    """Curves of all forms, the index of the chosen form of each (R,), and the errors (F, R).

    `errors` are those of leaving the last point out: its prediction from the others less its value.
    """

    curves: list[FittedCurves]
    choice: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    errors: Array

    def predict(self, documents: float) -> Array:
        """Return the scores (R,) of the chosen forms at a number of documents."""
        return self._select(np.stack([curve.predict(documents) for curve in self.curves]))

    def documents_for(self, score: float) -> Array:
        """Return the numbers of documents (R,) at which the chosen forms reach a score."""
        return self._select(np.stack([curve.documents_for(score) for curve in self.curves]))

    def _select(self, values: Array) -> Array:
        selected: Array = np.take_along_axis(values, self.choice[None, :], axis=0)[0]
        return selected


def rank_weights(points: int) -> Array:
    """Return the weights (P,) of points, which grow with their rank as in Figueroa et al. 2012.

    >>> rank_weights(4).tolist()
    [0.25, 0.5, 0.75, 1.0]
    """
    return np.arange(1, points + 1) / points


def fit_curves(form: CurveForm, documents: Array, scores: Array, weights: Array) -> FittedCurves:
    """Fit a form to R curves: `documents` (P,), `scores` (R, P), `weights` (P,).

    The weighted squared error is least for the exponents or scales of the grid, under b >= 0 and,
    for the two forms that level off, a <= 1.
    """
    grid = {
        "power law": _EXPONENTS,
        "exponential": _SCALES * documents.max(),
        "logarithmic": np.ones(1),
    }[form]
    fits = [
        _solve(_basis(form, documents, np.asarray(c)), scores, weights, levels_off=form != FORMS[2])
        for c in grid
    ]
    a, b, error = (np.stack(parts) for parts in zip(*fits, strict=True))  # each (C, R)
    best = error.argmin(axis=0)[None, :]
    a, b = (np.take_along_axis(values, best, axis=0)[0] for values in (a, b))
    return FittedCurves(form, a, b, grid[best[0]])


def choose_curves(documents: Array, scores: Array) -> ChosenCurves:
    """Fit all forms to R curves, and choose that of each which predicts its last point best.

    `documents` (P,) ascend, and `scores` are (R, P), of at least `MIN_POINTS` points.
    """
    points = len(documents)
    weights = rank_weights(points)
    errors = [
        fit_curves(form, documents[:-1], scores[:, :-1], weights[:-1]).predict(documents[-1])
        - scores[:, -1]
        for form in FORMS
    ]
    curves = [fit_curves(form, documents, scores, weights) for form in FORMS]
    stacked = np.stack(errors)
    return ChosenCurves(curves, np.abs(stacked).argmin(axis=0), stacked)


def _basis(form: CurveForm, documents: Array, c: Array) -> Array:
    """Return the falling function of documents that a form multiplies by b."""
    match form:
        case "power law":
            falling: Array = documents**-c
        case "exponential":
            falling = np.exp(-documents / c)
        case "logarithmic":
            falling = -np.log(documents) * np.ones_like(c)
    return falling


def _solve(
    basis: Array, scores: Array, weights: Array, *, levels_off: bool
) -> tuple[Array, Array, Array]:
    """Return a, b and the weighted squared error, each (R,), of `scores ~ a - b * basis`."""
    shares = weights / weights.sum()
    mean_basis, mean_score = float(basis @ shares), scores @ shares
    centred = basis - mean_basis
    variance = float(centred**2 @ shares)
    slope = -(scores - mean_score[:, None]) @ (centred * shares) / max(variance, 1e-300)
    b = np.maximum(slope, 0.0)
    a = mean_score + b * mean_basis
    if levels_off:
        through_one = np.maximum((1 - scores) @ (basis * shares) / float(basis**2 @ shares), 0.0)
        is_above = a > 1
        a, b = np.where(is_above, 1.0, a), np.where(is_above, through_one, b)
    residuals = scores - (a[:, None] - b[:, None] * basis)
    return a, b, residuals**2 @ shares
