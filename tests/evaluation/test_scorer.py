from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.data.markup import Span
from annoseq.data.pairs import Pair, fingerprint_pairs
from annoseq.errors import OptionError, TableError
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.references import SeenTexts, summarize_corpus
from annoseq.evaluation.score_file import (
    ScoreFile,
    make_score_file,
    read_score_file,
    write_score_file,
)
from annoseq.evaluation.scorer import Scorer, score_lines
from annoseq.evaluation.significance import compare_scores, difference_lines

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Dr. Ames, 31, of Rome"
NAME, AGE, PLACE = Span(4, 8, "NAME", 0.9), Span(10, 12, "AGE", 0.8), Span(17, 21, "PLACE", 0.7)


def row(
    predicted: tuple[Span, ...], *, is_unseen: bool | None = None, number: int = 1
) -> SpanComparison:
    return SpanComparison(str(number), TEXT, (NAME, AGE, PLACE), predicted, is_unseen=is_unseen)


def scored(rows: list[SpanComparison]) -> Scorer:
    scorer = Scorer(labels=["NAME", "AGE", "PLACE"], replicates=200)
    scorer.add_all([one] for one in rows)
    return scorer


def mixed(count: int) -> list[SpanComparison]:
    """Rows of which some are right, some half, some empty."""
    kinds = [(NAME, AGE, PLACE), (NAME,), (), (NAME, replace(AGE, label="NAME"))]
    return [row(kinds[number % 4], is_unseen=number % 2 == 0) for number in range(count)]


def test_scores_by_hand() -> None:
    found = scored([row((NAME, AGE, PLACE)), row((NAME, Span(10, 13, "AGE"), Span(0, 2, "X")))])
    values = {name: one.value for name, one in found.all.scores().items()}
    assert values["span_precision"] == values["span_recall"] == 4 / 6
    assert values["partial_recall"] == 4.5 / 6
    assert values["type_recall"] == 5 / 6
    # NAME 2 of 2, AGE 1 of 2, PLACE 1 of 2 (found 1); X is no label of the gold.
    assert values["macro_recall"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert values["macro_precision"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert values["perfect_rows"] == values["document_recall"] == 0.5
    assert values["leak"] == 2 / 4  # "Dr." ends a sentence, to a simple rule
    labels = found.all.label_scores()
    assert (labels["AGE"].gold, labels["AGE"].predicted, labels["AGE"].f1.value) == (2, 2, 0.5)
    assert (labels["AGE"].partial_f1, labels["AGE"].type_f1) == (0.75, 1)
    assert labels["X"].precision.value == 0


@pytest.mark.parametrize("twice", ["gold", "predicted", "both"])
def test_a_span_that_is_there_twice_is_one_span_in_every_score(twice: str) -> None:
    once = row((NAME, AGE, PLACE))
    spans = (NAME, AGE, replace(AGE, score=0.2), PLACE)
    gold = once.gold if twice == "predicted" else spans
    repeated = SpanComparison("1", TEXT, gold, once.predicted if twice == "gold" else spans)
    scorer = scored([repeated])
    expected = {name: one.value for name, one in scored([once]).all.scores().items()}
    assert {name: one.value for name, one in scorer.all.scores().items()} == expected
    assert scorer.all.counts["repeated.gold"] == int(twice != "predicted")
    assert scorer.all.counts["repeated.predicted"] == int(twice != "gold")


def test_documents_add_up_in_any_order() -> None:
    rows = mixed(20)
    one, other = scored(rows), scored(rows[::-1])
    assert one.all.counts == other.all.counts


def test_intervals_are_around_the_score() -> None:
    for score in scored(mixed(40)).all.scores().values():
        assert score.interval is not None
        assert score.interval.low <= score.value <= score.interval.high
    assert scored(mixed(4)).all.scores()["span_f1"].interval is None


def test_rows_not_trained_on_are_scored_apart() -> None:
    scorer = scored(mixed(20))
    assert (scorer.all.rows, scorer.unseen.rows) == (20, 10)
    alone = scored([one for one in mixed(20) if one.is_unseen])
    assert scorer.unseen.counts == alone.all.counts
    assert scored([row(())]).unseen.rows == 0


def test_without_spans_only_outputs_are_scored() -> None:
    scorer = Scorer(labels=[], has_spans=False)
    scorer.add([SpanComparison("1", "a", (), (), target="b", output="b")])
    assert {name: one.value for name, one in scorer.all.scores().items()} == {"exact_match": 1}
    assert "overlap" not in scorer.signature


def test_outputs_are_judged() -> None:
    rows = [
        replace(row(()), target="x", output="x"),
        replace(row(()), target="x", output=TEXT.replace("Ames", "{{WHO}}Ames{{/WHO}}")),
    ]
    scores = scored(rows).all.scores()
    assert scores["exact_match"].value == scores["changed"].value == 0.5
    assert scores["unknown_label"].value == 0.5
    assert scores["malformed"].value == scores["not_in_text"].value == 0


def test_the_signature_says_what_the_scores_depend_on() -> None:
    signature = Scorer(labels=[], replicates=50, seed=7).signature
    assert "overlap:any" in signature
    assert "interval:95% Poisson bootstrap of 50, seed 7" in signature


def test_scores_are_written_and_read(tmp_path: Path) -> None:
    scorer, path = scored(mixed(20)), tmp_path / "scores.json"
    write_score_file(make_score_file(scorer, gold="abc"), path, overwrite=False)
    written, record = json.loads(path.read_text()), read_score_file(path)
    assert (record.rows, record.documents, record.gold) == (20, 20, "abc")
    scores = scorer.all.scores()
    assert set(record.scores) == set(scores)
    for name, score in scores.items():
        assert record.scores[name].value == pytest.approx(score.value, abs=1e-6)
        assert record.samples(name) == pytest.approx(score.replicates, rel=1e-6)
    assert written["unseen"]["rows"] == 10
    assert written["labels"]["AGE"]["gold"] == 20
    assert written["counts"]["labels"]["NAME"]["strict.correct"] == 15
    assert sum(one["spans"] for one in written["reliability"]) == 30


def test_files_that_are_no_scores_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    with pytest.raises(TableError, match="cannot be read: No such file"):
        read_score_file(path)
    path.write_text('{"rows": 1}')
    with pytest.raises(TableError) as caught:
        read_score_file(path)
    assert str(caught.value) == (
        f"{path}: these are not scores that can be compared (documents: Field required). "
        "Write them with `annoseq score --json` or `annoseq evaluate --json`."
    )


def record_of(rows: list[SpanComparison], *, gold: str = "abc", seed: int = 1) -> ScoreFile:
    scorer = Scorer(labels=[], replicates=200, seed=seed)
    scorer.add_all([one] for one in rows)
    return make_score_file(scorer, gold=gold)


def test_a_clear_difference_is_told_from_chance() -> None:
    better = [row((NAME, AGE, PLACE)) if n % 3 else one for n, one in enumerate(mixed(60))]
    found = compare_scores(record_of(mixed(60)), record_of(better))["span_recall"]
    assert found.difference == pytest.approx(found.b - found.a)
    assert found.low is not None
    assert 0 < found.low < found.difference
    assert found.p == pytest.approx(2 / 201)
    same = compare_scores(record_of(mixed(60)), record_of(mixed(60)))
    assert {one.p for one in same.values()} == {1}
    lines = list(difference_lines(same))
    assert "p" in lines[0]
    assert lines[1].split()[0] == "span_precision"
    assert len(lines) == 1 + len(same)


def test_few_documents_have_no_p() -> None:
    found = compare_scores(record_of(mixed(3)), record_of(mixed(3)))["span_f1"]
    assert (found.low, found.high, found.p) == (None, None, None)
    assert found.difference == 0


def test_scores_of_other_rows_are_not_compared() -> None:
    with pytest.raises(OptionError) as caught:
        compare_scores(record_of(mixed(8)), record_of(mixed(9), gold="b"), names=("a", "b"))
    assert str(caught.value) == (
        "a and b are scores of different rows (8 and 9; other fingerprints). "
        "Score both models on the same table, whole or the same part of it."
    )
    with pytest.raises(OptionError) as caught:
        compare_scores(record_of(mixed(8)), record_of(mixed(8), seed=2), names=("a", "b"))
    assert str(caught.value) == (
        "a and b were resampled differently ({'replicates': 200, 'seed': 1} and "
        "{'replicates': 200, 'seed': 2}). Score both with the same version of annoseq."
    )


def test_replicates_of_other_draws_are_not_paired() -> None:
    ours = record_of(mixed(8))
    bootstrap = ours.bootstrap.model_copy(update={"draws": "other", "numpy": "9.9.9"})
    with pytest.raises(OptionError) as caught:
        compare_scores(ours, ours.model_copy(update={"bootstrap": bootstrap}), names=("a", "b"))
    assert str(caught.value) == (
        f"a and b were resampled with different random draws (numpy {np.__version__} and 9.9.9), "
        "so that their replicates cannot be paired. Score both with the same version of numpy."
    )


def test_another_numpy_with_the_same_draws_is_compared() -> None:
    ours = record_of(mixed(8))
    bootstrap = ours.bootstrap.model_copy(update={"numpy": "9.9.9"})
    assert compare_scores(ours, ours.model_copy(update={"bootstrap": bootstrap}))


@pytest.mark.parametrize("label", ["E@MAIL", "@", "strict.correct@X", "confusion:A", "a.b"])
def test_labels_with_separators_are_labels_of_their_own(label: str) -> None:
    scorer = Scorer(labels=[label])
    gold = Span(4, 8, label)
    scorer.add([SpanComparison("1", TEXT, (gold, AGE), (Span(4, 8, label, 0.5),))])
    assert set(scorer.all.label_scores()) == {label, "AGE"}
    written = make_score_file(scorer, gold="")
    assert set(written.labels or {}) == {label, "AGE"}
    assert written.scores["macro_recall"].value == 0.5
    cells = {(cell.gold, cell.predicted): cell.count for cell in written.counts.confusion}
    assert cells == {(label, label): 1, ("AGE", ""): 1}


def test_lines_name_every_score_and_label() -> None:
    scorer = scored(mixed(20))
    lines = list(score_lines(scorer.all))
    names = [line.split()[0] for line in lines if line]
    scores = list(scorer.all.scores())
    assert sorted(names[: len(scores)]) == sorted(scores)
    first = ["span_precision", "span_recall", "span_f1", "macro_f1", "character_recall"]
    assert names[:5] == first
    with_accuracy = list(score_lines(scorer.all, accuracies={"token_accuracy": 0.5}))
    assert with_accuracy[5] == f"{'token_accuracy':22} 0.5000"
    assert names[-3:] == ["AGE", "NAME", "PLACE"]
    assert not any("AGE" in line for line in score_lines(scorer.all, main_only=True))


def test_a_survey_of_pairs() -> None:
    pairs = [Pair("Ames", "{{N}}Ames{{/N}}", 1), Pair("x {{O}}", "x {{\\\\O}}", 2)]
    assert summarize_corpus(iter(pairs)) == (frozenset({"N"}), 2, fingerprint_pairs(pairs))
    seen = SeenTexts(pair.source for pair in pairs)
    assert "Ames" in seen
    assert "ames" not in seen
