from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.errors import OptionError
from annoseq.evaluation.agreement import (
    DoubleAnnotation,
    cohen_kappa,
    measure_agreement,
    nominal_alpha,
)

TEXT = "Dr Ida Ames of Leeds left"
IDA_AMES, IDA, LEEDS = Span(3, 11, "NAME"), Span(3, 6, "FIRST"), Span(15, 20, "CITY")
categories = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=60
)


def test_full_agreement_is_one() -> None:
    both = DoubleAnnotation(TEXT, (IDA_AMES, IDA, LEEDS), (IDA_AMES, IDA, LEEDS))
    agreement = measure_agreement([both])
    assert agreement.documents == 1
    assert agreement.all.span_f1 == 1
    assert agreement.all.kappa == agreement.all.alpha == 1
    assert list(agreement.by_label) == ["CITY", "FIRST", "NAME"]


def test_the_category_of_a_token_is_the_set_of_its_labels() -> None:
    """By hand: of six tokens, the annotators differ on Ida, which one of them nests."""
    both = DoubleAnnotation(TEXT, (IDA_AMES, IDA, LEEDS), (IDA_AMES, LEEDS))
    agreement = measure_agreement([both])
    assert agreement.all.span_f1 == pytest.approx(2 * 2 / 5)
    # First: -, NF, N, -, C, -; second: -, N, N, -, C, -.
    expected = (3 * 3 + 1 * 2 + 1 * 1) / 36
    assert agreement.all.kappa == pytest.approx((5 / 6 - expected) / (1 - expected))
    assert agreement.by_label["NAME"].kappa == 1
    assert agreement.by_label["FIRST"].span_f1 == 0
    assert agreement.by_label["FIRST"].kappa == 0


def test_without_any_span_nothing_is_defined() -> None:
    agreement = measure_agreement([DoubleAnnotation(TEXT, (), ())])
    assert agreement.all.span_f1 is None
    assert agreement.all.kappa is None
    assert agreement.all.alpha is None
    assert measure_agreement([]).all.kappa is None


def test_kappa_is_that_of_a_known_table() -> None:
    """Two readers of 50 proposals: both yes 20, both no 15, yes and no 5, no and yes 10."""
    pairs = [("y", "y")] * 20 + [("n", "n")] * 15 + [("y", "n")] * 5 + [("n", "y")] * 10
    assert cohen_kappa(pairs) == pytest.approx(0.4)


@given(categories)
def test_alpha_is_one_less_the_share_of_the_expected_disagreement(
    pairs: list[tuple[str, str]],
) -> None:
    values = [category for pair in pairs for category in pair]
    alpha = nominal_alpha(pairs)
    if len(set(values)) == 1:
        assert alpha is None
        return
    observed = sum(first != second for first, second in pairs) / len(pairs)
    count = len(values)
    same = sum(values.count(one) * (values.count(one) - 1) for one in set(values))
    expected = 1 - same / (count * (count - 1))
    assert alpha == pytest.approx(1 - observed / expected)


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    with pytest.raises(OptionError) as error:
        nominal_alpha([("a", "b")])
    assert str(error.value) == (
        "Krippendorff's alpha needs the package krippendorff, which is not installed. Install it "
        "with: pip install 'annoseq[serve]'"
    )
