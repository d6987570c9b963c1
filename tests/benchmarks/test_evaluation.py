"""The figures are those of what was written."""

from __future__ import annotations

import sys

import pytest

from benchmarks.evaluation import bleu, split_words, word_accuracy

pytestmark = pytest.mark.e2e


def test_accuracy_counts_words_at_their_places() -> None:
    assert split_words("Dr {{NAME}}Ana{{/NAME}}, 31") == [
        "Dr", " {{NAME}}", "Ana", "{{/NAME}}", ",", " 3", "1",
    ]  # fmt: skip
    assert word_accuracy(["a b c"], ["a b c"]) == 1
    assert word_accuracy(["a x c", ""], ["a b c", "d"]) == 3 / 6
    assert word_accuracy(["b c"], ["a b c"]) == 0


def test_bleu_has_its_signature_or_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sacrebleu")
    score, signature = bleu(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert score == pytest.approx(100)
    assert "tok:13a" in signature
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    assert bleu(["a"], ["a"]) == (None, "sacrebleu is not installed")
