from __future__ import annotations

import pytest

from annoseq import errors
from annoseq.errors import AnnoseqError, describe_change

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_in_the_tree_and_in_its_drawing(kind: type) -> None:
    assert issubclass(kind, AnnoseqError)
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("begun", "now", "told"),
    [
        ({"seed": 1}, {"seed": 1}, None),
        ({"seed": 1}, {"seed": 5}, "seed 1, and now it is 5"),
        ({"seed": 1}, {}, "seed 1, and now it is not given"),
        ({"--vectors": None, "folds": 2}, {"folds": 3}, "folds 2, and now it is 3"),
        ({"teachers": ""}, {"teachers": "t1"}, "teachers not given, and now it is t1"),
        (
            {"training": {"freeze": False, "seed": 1}},
            {"training": {"freeze": False, "seed": 5}},
            "seed 1, and now it is 5",
        ),
        (
            {"network": {"model": "gru", "gru": {"hidden": 8, "copy": {}}}},
            {"network": {"model": "gru", "gru": {"hidden": 8, "copy": {}, "layers": 2}}},
            "gru.layers not given, and now it is 2",
        ),
        (
            {"data": {"seed": None}, "folds": 2},
            {"data": {}, "folds": 3},
            "folds 2, and now it is 3",
        ),
        ({"network": {"gru": None}}, {"network": {"gru": 1}}, "gru not given, and now it is 1"),
    ],
)
def test_of_two_plans_the_setting_that_differs_is_named(
    begun: dict[str, object], now: dict[str, object], told: str | None
) -> None:
    assert describe_change(begun, now) == told
