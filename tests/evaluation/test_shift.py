"""Shift test: its level, its power, its distance against scipy's, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from annoseq.data.markup import Span
from annoseq.errors import OptionError
from annoseq.evaluation.shift import (
    DocumentFigures,
    _distance,
    compare_documents,
    document_figures,
)


def draw(generator: np.random.Generator, count: int, mean: float) -> list[DocumentFigures]:
    values = generator.normal(mean, 1.0, (count, 2)).round(1)  # with ties
    return [DocumentFigures(*row) for row in values.tolist()]


def test_the_figures_of_a_document_are_over_its_characters() -> None:
    rows = [
        ("Ana Paz x", [Span(0, 7, "NAME", 1.0), Span(8, 9, "NAME", 0.5)]),
        ("abc", [Span(0, 1, "NAME", 0.25)]),
    ]
    figures = document_figures(rows, threshold=0.5)
    assert figures.marked == pytest.approx(7 / 10)
    assert figures.uncertainty == pytest.approx((0.25 + 0.1875) / 10)
    assert document_figures([("", [])], threshold=0.5) == (0.0, 0.0)


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(0, 1, (40, 2)).round(1)
    orders = values.argsort(0, kind="stable")
    ranked = np.take_along_axis(values, orders, 0)
    is_end = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, 2), dtype=bool)])
    expected = max(ks_2samp(values[:15, one], values[15:, one]).statistic for one in (0, 1))
    found = _distance(np.arange(40) < 15, orders, is_end, 15)
    assert found == pytest.approx(expected)


def test_notes_like_the_certified_ones_are_called_different_at_the_level() -> None:
    generator = np.random.default_rng(5)
    called = sum(
        compare_documents(
            draw(generator, 30, 0.0), draw(generator, 15, 0.0), permutations=99
        ).is_shifted
        for _ in range(100)
    )
    assert called <= 5 + 2 * np.sqrt(100 * 0.05 * 0.95)


def test_other_notes_are_called_different() -> None:
    generator = np.random.default_rng(7)
    reference, new = draw(generator, 60, 0.0), draw(generator, 30, 1.5)
    result = compare_documents(reference, new, permutations=199)
    assert (result.p_value, result.is_shifted) == (1 / 200, True)
    assert result == compare_documents(reference, new, permutations=199)
    assert result.statement.startswith(
        "30 new notes differ from the certified documents: the bound does not hold for them "
        "(p-value 0.005; marked characters "
    )
    same = compare_documents(reference, reference[:30], permutations=199)
    assert same.statement.startswith(
        "30 new notes do not differ measurably from the certified documents (p-value "
    )


def test_too_few_documents_are_refused() -> None:
    generator = np.random.default_rng(9)
    with pytest.raises(OptionError, match="4 new notes cannot be compared: at least 5 of each"):
        compare_documents(draw(generator, 9, 0.0), draw(generator, 4, 0.0))
    with pytest.raises(OptionError, match="1 certified document cannot be compared"):
        compare_documents(draw(generator, 1, 0.0), draw(generator, 9, 0.0))
