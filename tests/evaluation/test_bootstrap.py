from __future__ import annotations

import numpy as np
import pytest

from annoseq.evaluation.bootstrap import PoissonBootstrap, paired_p_value, percentile_interval
from annoseq.evaluation.counts import Counts, ratio


def filled(
    values: list[tuple[int, int]], *, seed: int = 1, replicates: int = 2000
) -> PoissonBootstrap:
    found = PoissonBootstrap(replicates=replicates, seed=seed)
    for hits, total in values:
        found.add(Counts({"hits": hits, "total": total}))
    return found


def documents(count: int, *, seed: int = 0) -> list[tuple[int, int]]:
    random = np.random.default_rng(seed)
    totals = random.integers(1, 30, count)
    return [(int(random.binomial(total, 0.8)), int(total)) for total in totals]


def test_totals_and_replicates_are_sums() -> None:
    values = documents(700)  # more than are added at once
    boot = filled(values, replicates=50)
    assert boot.totals == {
        "hits": sum(hits for hits, _ in values),
        "total": sum(total for _, total in values),
    }
    weights = np.random.default_rng(1)
    drawn = np.concatenate([weights.poisson(1.0, (size, 50)) for size in (256, 256, 188)])
    expected = drawn.T @ np.array(values)
    sums = boot.replicates()
    assert sums["hits"].tolist() == expected[:, 0].tolist()
    assert sums["total"].tolist() == expected[:, 1].tolist()
    assert boot.documents == 700


def test_counts_that_come_late_are_resampled_with_the_rest() -> None:
    boot = PoissonBootstrap(replicates=20, seed=3, is_resampled=lambda key: key != "left")
    for number in range(600):
        boot.add(Counts({"late": 1, "left": 1}) if number == 599 else Counts({"early": 1}))
    sums = boot.replicates()
    assert sums["late"].sum() > 0
    assert "left" not in sums
    assert boot.totals["left"] == 1


def test_the_interval_is_that_of_the_ordinary_bootstrap() -> None:
    values = np.array(documents(150))
    boot = filled([(int(hits), int(total)) for hits, total in values])
    sums = boot.replicates()
    ours = percentile_interval(ratio(sums["hits"], sums["total"]), documents=boot.documents)
    random = np.random.default_rng(5)
    picks = random.integers(0, 150, (2000, 150))
    sampled = values[picks].sum(axis=1)
    theirs = np.percentile(sampled[:, 0] / sampled[:, 1], [2.5, 97.5])
    assert ours is not None
    assert list(ours) == pytest.approx(theirs.tolist(), abs=0.004)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for trial in range(60):
        boot = filled(documents(60, seed=trial), seed=trial, replicates=400)
        sums = boot.replicates()
        place = percentile_interval(ratio(sums["hits"], sums["total"]), documents=60)
        assert place is not None
        held += place.low <= 0.8 <= place.high
    assert held >= 52  # 57 are expected; fewer than 52 happen once in a hundred times


def test_few_documents_have_no_interval() -> None:
    assert percentile_interval(np.ones(10), documents=4) is None
    assert percentile_interval(np.ones(10), documents=5) == (1, 1)


def test_the_same_seed_gives_the_same_replicates() -> None:
    one, same, other = (filled(documents(9), seed=seed).replicates()["hits"] for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_p_values() -> None:
    draws = np.linspace(-1, 1, 999)
    assert paired_p_value(draws, draws) == 1
    assert paired_p_value(draws + 5, draws) == pytest.approx(2 / 1000)
    assert paired_p_value(draws, draws + 5) == pytest.approx(2 / 1000)
    assert paired_p_value(draws, np.zeros(999)) == 1
    assert paired_p_value(draws + 0.95, np.zeros(999)) == pytest.approx(0.052, abs=0.004)
