from __future__ import annotations

from hypothesis import given

from annoseq.check.check_report import quote_around, quote_piece, visible
from tests.data.strategies import texts


@given(texts)
def test_everything_is_made_printable(text: str) -> None:
    assert visible(text).isprintable()
    if text.isprintable():
        assert visible(text) == text


def test_what_is_escaped() -> None:
    assert visible("a\tb\u200d\ufeff\U000e0001") == r"a\tb\u200d\ufeff\U000e0001"
    assert visible("نص é 姓名 e\u0301") == "نص é 姓名 e\u0301"


def test_excerpts_are_short() -> None:
    text = "x" * 1000
    assert quote_around(text, 500) == f"'...{'x' * 40}...'"
    assert quote_around(text, 0) == f"'{'x' * 25}...'"
    assert quote_piece(text, 100, 900) == f"'...{'x' * 15}[{'x' * 15}...{'x' * 15}]{'x' * 15}...'"
