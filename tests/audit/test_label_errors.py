"""Likely label errors."""

from __future__ import annotations

import pytest

from annoseq.audit.cross_validation import HeldOutRow
from annoseq.audit.label_errors import find_label_errors
from annoseq.data.examples import Example
from annoseq.data.markup import Span, render

TEXT = "Dr. Ada Ames saw him"
ADA, AMES, BOTH = (4, 7), (8, 12), (4, 12)


def example(*gold: Span, text: str = TEXT, row: int = 1) -> Example:
    return Example(text, render(text, gold), gold, row)


def held_out(*best: Span, others: tuple[Span, ...] = (), covered: float = 0.0) -> HeldOutRow:
    """Make predictions, of which `others` are candidates besides the likeliest spans."""
    tokens = [Span(*ADA, "NAME", covered), Span(*AMES, "NAME", covered)] if covered else []
    return HeldOutRow(best, (*best, *others), tuple(tokens))


def test_rows_where_all_agree_have_no_errors() -> None:
    gold = Span(*BOTH, "NAME")
    assert find_label_errors([(example(gold), held_out(Span(*BOTH, "NAME", 0.6)))]) == []


def test_a_confident_prediction_without_a_gold_span_is_a_missed_one() -> None:
    (error,) = find_label_errors([(example(), held_out(Span(*BOTH, "NAME", 0.9)))])
    assert (error.problem, error.gold, error.suggestion) == ("missed", None, Span(*BOTH, "NAME"))
    assert error.score == pytest.approx(0.8)


def found(rows: int, *, label: str = "NAME") -> list[tuple[Example, HeldOutRow]]:
    """Make rows whose gold spans the model finds; their string is another one in each."""
    made = []
    for row in range(100, 100 + rows):
        text = f"Dr. {row} Ames saw him"
        gold = Span(4, 12, label)
        covered = Span(4, 12, label, 0.99)
        predictions = HeldOutRow((covered,), (covered,), (covered,))
        made.append((example(gold, text=text, row=row), predictions))
    return made


def test_a_gold_span_where_nothing_is_likely_is_spurious() -> None:
    gold = Span(*BOTH, "NAME")
    predictions = held_out(others=(Span(*BOTH, "NAME", 0.1),), covered=0.2)
    (error,) = find_label_errors([*found(1_000), (example(gold), predictions)])
    assert (error.problem, error.gold, error.suggestion) == ("spurious", gold, None)
    assert error.score == pytest.approx(0.8 - 0.1)


def test_a_gold_span_of_a_label_that_the_model_often_misses_is_hardly_spurious() -> None:
    rare, common = Span(*BOTH, "JOB"), Span(*BOTH, "NAME")
    rows = [
        *found(1_000),
        *found(50, label="JOB"),
        *(
            (example(rare, text=f"Dr. Ada {row:04} saw him", row=row), held_out())
            for row in range(9)
        ),
        (example(common, text="Dr. Ada King saw him", row=9), held_out()),
    ]
    scores = {error.example.row: error.score for error in find_label_errors(rows, least=-1)}
    assert scores[9] > 0.8
    assert all(scores[row] < 0 for row in range(9))


def test_a_string_that_is_annotated_alike_elsewhere_is_hardly_spurious() -> None:
    gold = Span(*BOTH, "NAME")
    covered = Span(*BOTH, "NAME", 0.99)
    alike = HeldOutRow((covered,), (covered,), (covered,))
    rows = [*found(100), (example(gold, row=1), held_out())]
    (alone,) = find_label_errors(rows, least=-1)
    (known,) = find_label_errors(
        [*rows, *((example(gold, row=r), alike) for r in range(2, 9))], least=-1
    )
    assert known.score < alone.score - 0.2


@pytest.mark.parametrize(
    ("suggested", "problem"),
    [(Span(*BOTH, "DOCTOR", 0.9), "wrong label"), (Span(*AMES, "NAME", 0.9), "wrong edge")],
)
def test_another_label_or_edge_is_suggested(suggested: Span, problem: str) -> None:
    gold = Span(*BOTH, "NAME")
    predictions = held_out(suggested, others=(Span(*BOTH, "NAME", 0.05),))
    (error,) = find_label_errors([(example(gold), predictions)])
    assert (error.problem, error.gold, error.suggestion) == (problem, gold, suggested)
    assert error.score == pytest.approx(0.85)


def test_two_gold_spans_in_one_prediction_are_an_edge_and_a_spurious_span() -> None:
    gold = Span(*ADA, "NAME"), Span(*AMES, "NAME")
    predictions = held_out(Span(*BOTH, "NAME", 0.9))
    errors = find_label_errors([*found(1_000), (example(*gold), predictions)])
    assert sorted((error.problem, error.gold) for error in errors) == [
        ("spurious", gold[0]),
        ("wrong edge", gold[1]),
    ]


def test_the_most_certain_error_comes_first_and_the_uncertain_are_left_out() -> None:
    rows = [
        (example(row=row), held_out(Span(*BOTH, "NAME", probability)))
        for row, probability in enumerate((0.6, 0.4, 0.99), start=1)
    ]
    assert [error.example.row for error in find_label_errors(rows)] == [3, 1]
    assert len(find_label_errors(rows, least=-1)) == 3


def repeated(last: tuple[Span, ...], probability: float) -> list[tuple[Example, HeldOutRow]]:
    """Make nine rows where a string is a span, and one where it is annotated otherwise."""
    gold = Span(*BOTH, "NAME")
    rows = [(example(gold, row=row), held_out(Span(*BOTH, "NAME", 0.9))) for row in range(1, 10)]
    odd = held_out(*last, others=(Span(*BOTH, "NAME", probability),))
    return [*rows, (example(*last, row=10), odd)]


def test_a_string_that_is_annotated_everywhere_else_is_inconsistent() -> None:
    (error,) = find_label_errors(repeated((), 0.45))
    assert (error.example.row, error.problem) == (10, "inconsistent")
    assert error.suggestion == Span(*BOTH, "NAME")
    assert 0 < error.score < 0.9


def test_in_a_context_that_is_not_alike_a_string_may_be_something_else() -> None:
    assert find_label_errors(repeated((), 0.1)) == []


def test_what_the_model_contradicts_is_listed_once() -> None:
    rows = repeated((), 0.0)
    rows[-1] = (rows[-1][0], held_out(Span(*BOTH, "NAME", 0.9)))
    assert [error.problem for error in find_label_errors(rows)] == ["missed"]
