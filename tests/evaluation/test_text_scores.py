from __future__ import annotations

import sys

import numpy as np
import pytest

from annoseq.errors import OptionError
from annoseq.evaluation.counts import Counts, CountTotals
from annoseq.evaluation.text_scores import TextScorer

OUTPUTS = ["The cat sat on the mat.", "", "Dr. {{NAME}}Ames{{/NAME}} came", "a b c d e f g"]
TARGETS = ["The cat is on the mat.", "One", "Dr. {{NAME}}Ames{{/NAME}} came", "g f e d c b a h"]


def counts(rows: list[int]) -> Counts:
    scorer, found = TextScorer(), Counts()
    for row in rows:
        found.update(scorer.count(OUTPUTS[row], TARGETS[row]))
    return found


def test_scores_of_sums_are_sacrebleus_of_the_corpus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    scorer = TextScorer()
    found = scorer.scores(CountTotals(counts([0, 1, 2, 3])))
    assert {name: float(value) for name, value in found.items()} == {
        "bleu": pytest.approx(sacrebleu.corpus_bleu(OUTPUTS, [TARGETS]).score),
        "chrf": pytest.approx(sacrebleu.corpus_chrf(OUTPUTS, [TARGETS]).score),
        "ter": pytest.approx(sacrebleu.corpus_ter(OUTPUTS, [TARGETS]).score),
    }
    assert scorer.signatures["bleu"].startswith("nrefs:1|")
    assert sacrebleu.__version__ in scorer.signatures["ter"]


def test_replicates_are_scored_one_by_one() -> None:
    pytest.importorskip("sacrebleu")
    scorer = TextScorer()
    parts = [counts([0, 2]), counts([3])]
    names = {name for part in parts for name in part}
    both = CountTotals(
        {name: np.array([part[name] for part in parts], dtype=float) for name in names}
    )
    for name, values in scorer.scores(both).items():
        alone = [float(scorer.scores(CountTotals(part))[name]) for part in parts]
        assert values.tolist() == pytest.approx(alone)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("sacrebleu")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(OptionError) as caught:
        TextScorer()
    assert str(caught.value) == (
        "--text-scores needs sacrebleu, which is not installed. "
        "Run: pip install 'annoseq[text-scores]'"
    )
