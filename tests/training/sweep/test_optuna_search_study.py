from __future__ import annotations

import sys

import pytest

from annoseq.errors import OptionError
from annoseq.training.sweep.optuna_search import import_optuna, points


@pytest.mark.parametrize(
    ("scores", "total", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 20, {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}),
        ([0.1, 0.2], 5, {4: 0.1, 5: 0.1, 6: 0.1, 7: 0.1, 8: 0.2}),
        ([0.1, 0.2, 0.3], 13, {1: 0.1, 2: 0.1, 3: 0.2, 4: 0.3}),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 40, {0: 0.1, 1: 0.2, 2: 0.4}),
        ([], 5, {}),
    ],
)
def test_a_run_has_a_score_at_every_point(
    scores: list[float], total: int, expected: dict[int, float]
) -> None:
    assert points(scores, total=total) == expected


def test_without_optuna_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError) as caught:
        import_optuna()
    assert str(caught.value) == (
        "--search needs Optuna, which is not installed. Run: pip install 'annoseq[sweep]'"
    )
