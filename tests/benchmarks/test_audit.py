"""Corruption of a corpus, the measures of lists of suspected errors, and simulated reviews."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from annoseq.data.examples import Example, parse_pair
from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair
from benchmarks.audit_retraining import Run, as_pairs
from benchmarks.audit_revisions import find_corrected
from benchmarks.corruption import KINDS, Corruption, Corruptor
from benchmarks.suspect_lists import found_share, measure
from benchmarks.webanno_revisions import compare_releases, read_document

if TYPE_CHECKING:
    from pathlib import Path


def examples(rows: int = 60) -> list[Example]:
    text, spans = "Dr. Ada Ames of Bonn saw Him", (Span(4, 12, "NAME"), Span(16, 20, "CITY"))
    return [parse_pair(Pair(text, render(text, spans), row=row)) for row in range(1, rows + 1)]


def test_a_share_of_the_spans_is_corrupted_in_three_ways() -> None:
    clean = examples()
    corrupted, done = Corruptor(clean, seed=1).corrupt(share=0.25, kinds=KINDS[:3])
    kinds = Counter(corruption.kind for corruption in done)
    assert kinds == {"dropped": 10, "shifted": 10, "relabelled": 10}
    changed = {corruption.row for corruption in done}
    for row, (before, after) in enumerate(zip(clean, corrupted, strict=True)):
        assert (before.spans != after.spans) == (row in changed)
        assert before.source == after.source


def test_spans_are_added_where_there_are_none() -> None:
    clean = examples()
    corrupted, done = Corruptor(clean, seed=1).corrupt(share=0.1, kinds=["added"])
    assert {corruption.kind for corruption in done} == {"added"}
    for corruption in done:
        assert corruption.new in corrupted[corruption.row].tight_spans
        assert len(corrupted[corruption.row].tight_spans) > 2


def test_the_same_seed_corrupts_alike() -> None:
    one, other = (Corruptor(examples(), seed=1).corrupt(share=0.1, kinds=KINDS) for _ in "ab")
    assert one[1] == other[1]


def test_without_kinds_nothing_is_corrupted() -> None:
    corrupted, done = Corruptor(examples(), seed=1).corrupt(share=0.1, kinds=())
    assert done == []
    assert [example.spans for example in corrupted] == [example.spans for example in examples()]


DONE = [
    Corruption(0, Span(4, 12, "NAME"), None),
    Corruption(2, Span(4, 12, "NAME"), Span(8, 12, "NAME")),
]


@pytest.mark.parametrize(("budget", "found"), [(1, {0}), (2, {0}), (3, {0, 1}), (9, {0, 1})])
def test_each_corruption_is_found_once(budget: int, found: set[int]) -> None:
    places = [(0, 4, 8), (0, 8, 12), (2, 8, 12), (1, 4, 12)]
    measured = measure(places, DONE, budget=budget)
    assert measured == (2, frozenset(found))


def test_shares_are_of_the_errors_of_a_kind() -> None:
    measured = measure([(0, 4, 8)], DONE, budget=1)
    assert found_share(measured, DONE, ["dropped"]) == "100% of 1"
    assert found_share(measured, DONE, ["shifted"]) == "0% of 1"
    assert found_share(measured, DONE, ["added"]) == ""


def test_a_revision_is_found_by_the_wrong_span_or_by_the_right_one() -> None:
    wrong, right = Span(8, 12, "NAME"), Span(4, 12, "NAME")
    suspects = [(2, wrong, None), (0, None, right), (2, None, right), (1, right, None)]
    assert find_corrected(suspects, DONE) == (2, {0, 1})
    assert find_corrected(suspects[3:], DONE) == (0, set())


TSV = """#FORMAT=WebAnno TSV 3
#T_SP=webanno.custom.Referent|entity|infstat

#Text=He met Ada Ames .
1-1\t0-2\tHe\tperson\tnew\t
1-2\t3-6\tmet\t_\t_\t
1-3\t7-10\tAda\t{label}[1]\tnew[1]\t
1-4\t11-15\tAmes\t{label}[1]|person[2]\tnew[1]\t
1-5\t16-17\t.\t_\t_\t

#Text=Bonn
2-1\t18-22\tBonn\t{second}\tnew\t
"""


def write_releases(folder: Path) -> None:
    for name, label, second in (("before", "place", "_"), ("after", "person", "place")):
        (folder / name).mkdir()
        text = TSV.format(label=label, second=second)
        (folder / name / "note.tsv").write_text(text, encoding="utf-8")


def test_spans_of_a_release_are_read_with_their_sentences(tmp_path: Path) -> None:
    write_releases(tmp_path)
    document = read_document(tmp_path / "after" / "note.tsv")
    assert document.sentences == ["He met Ada Ames .", "Bonn"]
    assert sorted(document.spans) == [
        (0, 1, "person"),
        (2, 4, "person"),
        (3, 4, "person"),
        (5, 6, "place"),
    ]
    assert document.tokens[5][1:] == (1, 0, 4)


def test_the_later_release_tells_what_was_wrong(tmp_path: Path) -> None:
    write_releases(tmp_path)
    revision = compare_releases(tmp_path / "before", tmp_path / "after", names=["note", "other"])
    assert [pair.target for pair in revision.pairs] == [
        "{{person}}He{{/person}} met {{place}}Ada {{person}}Ames{{/person}}{{/place}} .",
        "Bonn",
    ]
    assert [(c.kind, c.row, c.old, c.new) for c in revision.corrections] == [
        ("relabelled", 0, Span(7, 15, "person"), Span(7, 15, "place")),
        ("dropped", 1, Span(0, 4, "place"), None),
    ]
    assert revision.left_out == {"documents": 1}


def test_a_token_that_was_changed_takes_its_spans_out_of_the_comparison(tmp_path: Path) -> None:
    write_releases(tmp_path)
    path = tmp_path / "after" / "note.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("\tAda\t", "\tADA\t"), "utf-8")
    revision = compare_releases(tmp_path / "before", tmp_path / "after", names=["note"])
    assert [correction.kind for correction in revision.corrections] == ["dropped"]
    assert revision.left_out == {"spans whose tokens were changed": 2}


def test_runs_have_names() -> None:
    assert Run.parse("asq_phi:2:clean") == Run("asq_phi", 2, "clean")


def test_examples_become_the_pairs_that_they_were() -> None:
    (pair,) = as_pairs(examples(1))
    assert parse_pair(pair) == examples(1)[0]
