from __future__ import annotations

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.promise import make_promise, promise_lines


def documents(count: int, *, seed: int, missed: float = 0.0) -> list[list[SpanComparison]]:
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        right = Span(0, 4, "NAME", float(random.beta(8, 2)))
        wrong = Span(5, 9, "NAME", float(random.beta(2, 5)))
        candidates = (wrong,) if random.uniform() < missed else (right, wrong)
        found.append([SpanComparison(str(number), "Ames left", (Span(0, 4, "NAME"),), candidates)])
    return found


@pytest.mark.parametrize("target", [0.95, 0.99])
def test_what_is_promised_is_measured_on_documents_left_out(target: float) -> None:
    promise = make_promise(documents(3000, seed=4), target_recall=target)
    assert promise.measured.gold == 3000
    assert promise.measured.recall >= target - 0.004
    assert promise.measured.precision > 0.55
    written = promise.to_dict()
    assert written["target_recall"] == target
    assert written["measured"]["recall"] == promise.measured.recall
    lines = list(promise_lines(promise))
    assert lines[0].startswith(f"for a recall of {target}, keep spans scored at least 0.")
    assert lines[1].startswith("  NAME: 0.")
    assert lines[2].startswith("on documents left out: recall 0.9")
    assert len(lines) == 3


def test_what_cannot_be_promised_is_said() -> None:
    promise = make_promise(documents(400, seed=1, missed=0.2), target_recall=0.95)
    assert list(promise_lines(promise))[-1] == (
        "out of reach, as too many spans have no candidate at all: all labels together, NAME"
    )
    assert promise.measured.recall < 0.85
