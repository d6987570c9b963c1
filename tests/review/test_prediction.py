from __future__ import annotations

import pytest

from annoseq.errors import OptionError
from annoseq.review.prediction import entropy, predict_documents
from tests.review.annotators import word_annotator


def test_the_entropy_is_largest_where_both_are_alike() -> None:
    assert entropy(0.5) == 1
    assert entropy(0.25) == pytest.approx(0.8112781)
    assert entropy(0.0) == entropy(1.0) == 0


def test_uncertainty_and_leak_come_from_spans_and_from_what_is_outside() -> None:
    (found,) = predict_documents(word_annotator("Ames", has_marginals=True), ["Ames saw us"])
    assert [(span.start, span.end) for span in found.spans] == [(0, 4)]
    assert found.uncertainty == pytest.approx((entropy(0.9) + 2 * entropy(0.25)) / 3)
    assert found.leak == pytest.approx(0.5)


def test_a_model_without_marginals_has_the_log_probability_of_its_output() -> None:
    (found,) = predict_documents(word_annotator("Ames"), ["Ames saw us"])
    assert found.uncertainty == pytest.approx(11 / 3)
    assert found.leak is None


def test_progress_is_told() -> None:
    done: list[int] = []
    predict_documents(word_annotator("x"), ["a"] * 130, advance=done.append)
    assert (sum(done), len(done)) == (130, 3)


def test_a_translator_has_nothing_to_review() -> None:
    annotator = word_annotator("x")
    annotator.is_translator = True  # type: ignore[misc]
    with pytest.raises(OptionError) as error:
        predict_documents(annotator, ["a"])
    assert str(error.value) == (
        "this model writes texts of its own and marks nothing that could be reviewed. Name a model "
        "of the annotate task."
    )
