"""What the rows kept from training say of a tagger's scores, kept in the model folder.

It has counts and no text: for each label how many spans of about a score were right and how many
wrong, and how many had no candidate. From these a threshold is chosen for any wanted recall.

One threshold serves all labels. A threshold for each, chosen on the spans of that label alone,
gives up the spans of easy labels and cannot find those of hard ones. Of MEDDOCAN's dev documents,
one half choosing for the other, 0.97 was wanted: one threshold found 0.970 at a precision of 0.90,
a threshold for each label where data suffice 0.958 at 0.81 (means of 20 halves).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.calibration import EDGE, Calibration
from annoseq.evaluation.thresholds import Expectation, Thresholds
from annoseq.models.folder import CALIBRATION_FILE
from annoseq.models.json_file import read_json_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.evaluation.statistics import Array

FEWEST = 100
"""Gold spans that there must be: of fewer, a share like 0.95 says little."""
_STEPS = 20
"""Scores are counted in steps of a twentieth of their log-odds: the same fineness at 0 and 1."""
_MARGINS = {99: 2.3263, 90: 1.2816}
"""In how many of a hundred cases the wanted recall is kept, and for that, how many standard errors
above it thresholds aim: the first for which there are candidates enough."""


class Wanted(NamedTuple):
    """Thresholds for a wanted recall, and what they did to the rows kept from training.

    `confidence` is in how many of a hundred cases documents like these have the wanted recall; at 0
    it is what is to be expected at best, and where `is_out_of_reach` not even that: then all that
    was right there is found.
    """

    thresholds: Thresholds
    expected: Expectation
    confidence: int

    @property
    def is_promised(self) -> bool:
        """Whether chance is allowed for."""
        return self.confidence > 0

    @property
    def is_out_of_reach(self) -> bool:
        """Whether too many spans have no candidate."""
        return bool(self.thresholds.out_of_reach)


class Evidence(BaseModel):
    """What `calibration.json` holds.

    `curves` has for each label (place, right, wrong), the likeliest first: how many candidates at
    that place of the scale were right. `missed` counts the gold spans without a candidate, `floor`
    is the least score of a candidate, and `clustering` how many times the variance of the recall
    is that of as many independent spans: a document's spans are found or missed together.
    `error_before` and `error_after` are the calibration errors of the likeliest spans, the latter
    under calibrations fitted on other documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    rows: int
    documents: int
    floor: float
    calibration: Calibration
    error_before: float
    error_after: float
    clustering: float
    curves: dict[str, tuple[tuple[int, int, int], ...]]
    missed: dict[str, int]

    @classmethod
    def read(cls, content: str) -> Evidence:
        """Read what a model folder holds.

        Raises:
            ModelError: the content is not of this version.
        """
        return read_json_file(cls, content, name=CALIBRATION_FILE)

    @property
    def gold(self) -> int:
        """How many gold spans there were."""
        return self._right + sum(self.missed.values())

    @property
    def reachable(self) -> float:
        """The share of gold spans that have a candidate."""
        return self._right / self.gold if self.gold else 0.0

    @property
    def _right(self) -> int:
        return sum(right for curve in self.curves.values() for _, right, _ in curve)

    def probabilities(self, scores: Sequence[float]) -> Array:
        """Return the probabilities of scores (N,): never 0 or 1, which no count can tell."""
        least = 0.5 / max(self.calibration.spans, 1)
        found: Array = self.calibration.apply(scores).clip(least, 1 - least)
        return found

    def choose(self, target_recall: float) -> Wanted:
        """Choose the highest threshold that finds the wanted share of spans.

        It aims higher by 2.33 standard errors of the recall measured here, or by 1.28 where there
        are not candidates enough for that, if there are for this.
        """
        curve, gold = self._curve(), self.gold
        found = curve[:, 1].cumsum()
        right = int(found[-1]) if len(found) else 0
        error = math.sqrt(target_recall * (1 - target_recall) * self.clustering / max(gold, 1))
        least = math.ceil(target_recall * gold)
        confidence, needed = 0, min(least, right)
        for sureness, margin in _MARGINS.items():
            safe = math.ceil((target_recall + margin * error) * gold)
            if gold and safe <= right:
                confidence, needed = sureness, safe
                break
        last = int(np.searchsorted(found, needed))
        kept = curve[: last + 1] if needed else curve[:0]
        return Wanted(
            thresholds=Thresholds(
                target_recall=target_recall,
                overall=_score(int(kept[-1, 0])) if len(kept) else 1.0,
                out_of_reach=("",) if least > right else (),
            ),
            expected=Expectation(gold, int(kept[:, 1:].sum()), int(kept[:, 1].sum())),
            confidence=confidence,
        )

    def _curve(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the (place, right, wrong) of all labels together (N, 3), the likeliest first."""
        right, wrong = Counter[int](), Counter[int]()
        for curve in self.curves.values():
            for place, some, others in curve:
                right[place] += some
                wrong[place] += others
        places = sorted({*right, *wrong}, reverse=True)
        rows = [(place, right[place], wrong[place]) for place in places]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)


def place_of(score: float) -> int:
    """Return the place of a score on the scale, rounded down.

    >>> place_of(0.5), place_of(0.5249), place_of(0.526)
    (0, 1, 2)
    """
    inside = min(max(score, EDGE), 1 - EDGE)
    return math.floor(math.log(inside / (1 - inside)) * _STEPS)


def _score(place: int) -> float:
    """Return the lowest score at a place, a trifle less for what rounding does."""
    return (1 - 1e-9) / (1 + math.exp(-place / _STEPS))
