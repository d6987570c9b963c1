"""Distribution-free risk control: the threshold whose risk has an upper bound with confidence.

Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei 2021, arXiv:2110.01052): for each
threshold the hypothesis that the expected loss of a unit exceeds the allowed risk is tested on
units that were not trained on, from the threshold that marks most to the one that marks least,
until the first that is not rejected (fixed-sequence testing). Whatever the distribution of texts
and the quality of the model, the chosen threshold exceeds the risk in at most a share `delta` of
samples of units, if further units are exchangeable with these.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2022, arXiv:2208.02814) bounds
the risk in expectation over samples instead.

Shapes: U units, T thresholds, the one that marks most first. Losses are in [0, 1].
"""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array

_ORDER_SEED = 0
"""Seed of the order in which units are bet on, which is independent of their losses."""
_MOST_COPIES = 200
_FEWEST_CLUSTERS = 5
"""Of fewer clusters, the design effect is unknown."""


def binomial_p_value(failures: int, *, units: int, risk: float) -> float:
    """Return the probability of at most so many failures in `units` if each has the `risk`.

    >>> round(binomial_p_value(0, units=299, risk=0.01), 4)
    0.0495
    """
    if failures >= units:
        return 1.0
    if risk >= 1:
        return 0.0
    counts = np.arange(1, failures + 1)
    ratios = np.log((units - counts + 1) / counts) + math.log(risk) - math.log1p(-risk)
    log_terms = units * math.log1p(-risk) + np.concatenate([[0.0], ratios.cumsum()])
    return min(1.0, float(np.exp(log_terms).sum()))


def clustered_p_value(
    failures: int, *, items: int, clusters: int, design_effect: float, risk: float, delta: float
) -> float:
    """Return an approximate p-value of the hypothesis that a share of items is above `risk`.

    The items of a cluster fail together. The test is the exact one with the effective number of
    items: `items` over the `design_effect`, and less where there are few clusters to estimate that
    from (Korn and Graubard 1998, Survey Methodology 24:193-201), rounded against the claim. Of
    clusters unlike all that were sampled it knows nothing.

    >>> round(clustered_p_value(0, items=299, clusters=100, design_effect=1.0, risk=0.01,
    ...                         delta=0.05), 4)
    0.0526
    """
    if clusters < _FEWEST_CLUSTERS:
        return 1.0
    normal = NormalDist().inv_cdf(1 - delta)
    effective = items / design_effect * (normal / _student_quantile(normal, clusters - 1)) ** 2
    return binomial_p_value(
        math.ceil(failures / items * effective), units=math.floor(effective), risk=risk
    )


def _student_quantile(normal: float, freedom: int) -> float:
    """Return the quantile of Student's t for that of the normal distribution.

    The first terms of its expansion (Abramowitz and Stegun 26.7.5).
    """
    cube = normal**3
    return (
        normal
        + (cube + normal) / (4 * freedom)
        + (5 * normal**5 + 16 * cube + 3 * normal) / (96 * freedom**2)
    )


def betting_p_value(losses: Array, *, risk: float, delta: float) -> float:
    """Return a p-value of the hypothesis that the expected loss of units (U,) is above `risk`.

    The reciprocal of the highest capital of a bet against the hypothesis, with stakes that suit the
    level `delta` (Waudby-Smith and Ramdas 2024, arXiv:2010.09686; Bates et al. 2021,
    arXiv:2101.02703, proposition 5). Most documents have a loss of 0, so that the variance is
    small: this bound uses that, and those of Hoeffding and Bentkus do not.
    """
    units = len(losses)
    losses = np.random.default_rng(_ORDER_SEED).permutation(losses)
    numbers = np.arange(1, units + 1)
    means = (0.5 + losses.cumsum()) / (1 + numbers)
    variances = (0.25 + ((losses - means) ** 2).cumsum()) / (1 + numbers)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes = np.minimum(1.0, np.sqrt(2 * math.log(1 / delta) / (units * before)))
    capital = np.log1p(-stakes * (losses - risk)).cumsum()
    return min(1.0, math.exp(-float(capital.max(initial=0.0))))


def p_value(losses: Array, *, risk: float, delta: float) -> float:
    """Return the p-value of losses (U,): exact where each is 0 or 1, else by betting."""
    if not len(losses):
        return 1.0
    if np.isin(losses, (0.0, 1.0)).all():
        return binomial_p_value(int(losses.sum()), units=len(losses), risk=risk)
    return betting_p_value(losses, risk=risk, delta=delta)


def learn_then_test(losses: Array, *, risk: float, delta: float) -> int | None:
    """Return the last threshold of losses (T, U) whose risk is controlled, or None."""
    chosen = None
    for index, threshold_losses in enumerate(losses):
        if p_value(threshold_losses, risk=risk, delta=delta) > delta:
            break
        chosen = index
    return chosen


def conformal_risk_control(losses: Array, *, risk: float) -> int | None:
    """Return the last threshold of losses (T, U) whose expected risk is controlled, or None.

    Losses must not fall from one threshold to the next.
    """
    units = losses.shape[1]
    bounds = (losses.sum(1) + 1) / (units + 1)  # one further unit, with the highest loss
    allowed = np.flatnonzero(bounds <= risk)
    return int(allowed[-1]) if len(allowed) else None


def units_needed(losses: Array, *, risk: float, delta: float) -> int | None:
    """Return the number of units with losses like these (U,) that control the risk, or None.

    It is found by repeating the losses, and a rough figure.

    >>> units_needed(np.zeros(100), risk=0.01, delta=0.05)
    299
    """
    if not len(losses) or losses.mean() >= risk:
        return None

    def is_controlled(units: int) -> bool:
        return p_value(np.resize(losses, units), risk=risk, delta=delta) <= delta

    sizes = range(len(losses), _MOST_COPIES * len(losses), len(losses))
    enough = next(filter(is_controlled, sizes), None)
    if enough is None:
        return None
    fewer = range(enough - len(losses) + 1, enough)
    return fewer.start + bisect_left(fewer, True, key=is_controlled)
