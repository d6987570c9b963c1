"""Coverage counts against brute force, and thresholds that keep their share."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.evaluation.coverage import CoverageCounts, ScoreHistogram
from annoseq.evaluation.coverage_counter import ClusterSums, CoverageCounter
from annoseq.evaluation.coverage_scores import coverage_lines, make_coverage_scores
from annoseq.evaluation.recall_thresholds import lowest_score, score_bin, threshold_bin

TEXT = "Ana Paz has 12 cats"
ANA, PAZ, ANA_PAZ = Span(0, 3, "NAME"), Span(4, 7, "NAME"), Span(0, 7, "NAME")


def part(start: int, end: int, score: float) -> Span:
    return Span(start, end, "NAME", score)


def count(*rows: tuple[list[Span], list[Span], str | None], floor: float = 1e-6) -> CoverageCounts:
    counter = CoverageCounter(floor=floor)
    for gold, parts, document in rows:
        counter.add(TEXT, gold, parts, document=document)
    return counter.counts()


def test_an_identifier_is_covered_if_all_its_parts_are() -> None:
    counts = count(([ANA_PAZ], [part(0, 3, 0.9), part(4, 7, 0.2), part(12, 14, 0.5)], "a"))
    low, high = counts.point(0.1), counts.point(0.4)
    assert (low.covered, low.identifiers, low.clean_documents, low.documents) == (1, 1, 1, 1)
    assert (low.marked_tokens, low.other_tokens, low.marked_other_tokens) == (2, 3, 1)
    assert low.precision == pytest.approx(2 / 3)
    assert low.other_share == pytest.approx(1 / 3)
    assert (high.covered, high.clean_documents, high.covered_characters) == (0, 0, 3)
    assert high.character_coverage == 0.5


def test_a_part_without_a_score_is_never_covered() -> None:
    counts = count(([ANA, PAZ], [part(0, 3, 0.9)], "a"))
    assert counts.all_identifiers() == ScoreHistogram(bins=((score_bin(0.9), 1),), unscored=1)
    assert counts.choose_threshold(0.99).is_out_of_reach
    assert counts.documents.unscored == 1
    assert counts.coverage_by_label(0.5) == {"NAME": (2, 1)}


def test_a_document_is_as_sure_as_its_least_sure_identifier() -> None:
    rows: list[tuple[list[Span], list[Span], str | None]] = [
        ([ANA], [part(0, 3, 0.9)], "a"),
        ([PAZ], [part(4, 7, 0.2)], "a"),
        ([], [], "a"),
        ([ANA], [part(0, 3, 0.6)], None),
        ([ANA], [part(0, 3, 0.7)], None),
    ]
    documents = count(*rows).documents
    assert documents.bins == ((score_bin(0.7), 1), (score_bin(0.6), 1), (score_bin(0.2), 1))


def test_without_identifiers_nothing_is_promised() -> None:
    target = count(([], [part(0, 3, 0.9)], "a")).choose_threshold(0.9)
    assert (target.threshold, target.confidence) == (1.0, 0)
    assert (target.expected.coverage, target.expected.clean_share) == (0.0, 0.0)


random_rows = st.lists(
    st.tuples(
        st.lists(st.sampled_from([ANA, PAZ, ANA_PAZ, Span(12, 14, "N")]), max_size=2),
        st.lists(st.sampled_from([0.0, 1e-6, 0.01, 0.3, 0.5, 0.99, 1.0]), min_size=5, max_size=5),
        st.sampled_from(["a", "b", None]),
    ),
    min_size=1,
    max_size=8,
)
PLACES = [(0, 3), (4, 7), (8, 11), (12, 14), (15, 19)]


@settings(max_examples=150, deadline=None)
@given(random_rows, st.sampled_from([1e-6, 0.01, 0.2, 0.5, 1.0]))
def test_points_are_those_of_brute_force(
    rows: list[tuple[list[Span], list[float], str | None]], threshold: float
) -> None:
    parts = [
        [part(*place, score) for place, score in zip(PLACES, scores, strict=True) if score]
        for _, scores, _ in rows
    ]
    counts = count(
        *((gold, scored, name) for (gold, _, name), scored in zip(rows, parts, strict=True))
    )
    point = counts.point(threshold)
    covered = identifiers = others = marked_others = 0
    for (gold, _, _), scored in zip(rows, parts, strict=True):
        marked = {
            at
            for one in scored
            if score_bin(one.score or 0) >= threshold_bin(threshold)
            for at in range(one.start, one.end)
        }
        inside = {at for span in gold for at in range(span.start, span.end)}
        for span in set(gold):
            identifiers += 1
            needed = {at for at in range(span.start, span.end) if TEXT[at] != " "}
            covered += needed <= marked
        for start, end in PLACES:
            if inside.isdisjoint(range(start, end)):
                others += 1
                marked_others += not marked.isdisjoint(range(start, end))
    assert (point.covered, point.identifiers) == (covered, identifiers)
    assert (point.marked_other_tokens, point.other_tokens) == (marked_others, others)


@settings(max_examples=100, deadline=None)
@given(random_rows)
def test_a_higher_target_marks_no_less(
    rows: list[tuple[list[Span], list[float], str | None]],
) -> None:
    counts = count(
        *(
            (gold, [part(*place, score) for place, score in zip(PLACES, s, strict=True)], name)
            for gold, s, name in rows
        )
    )
    targets = [counts.choose_threshold(share) for share in (0.1, 0.5, 0.9, 0.99, 0.999)]
    thresholds = [target.threshold for target in targets]
    assert thresholds == sorted(thresholds, reverse=True)
    for target in targets:
        if target.confidence:
            assert target.expected.coverage >= target.target_coverage
    curve = counts.curve()
    assert [p.threshold for p in curve] == sorted((p.threshold for p in curve), reverse=True)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([None, -9, 0, 3, 40]), max_size=6), min_size=1, max_size=9)
)
def test_the_design_effect_is_that_of_the_shares_of_documents(
    documents: list[list[int | None]],
) -> None:
    documents = [document for document in documents if document]
    sums = ClusterSums()
    for document in documents:
        known = [bin_ for bin_ in document if bin_ is not None]
        sums.add(known, unscored=len(document) - len(known))
    found = dict(sums.design_effects())
    assert set(found) == {bin_ for document in documents for bin_ in document} - {None}
    for bin_, effect in found.items():
        missed = [sum(one is None or one < bin_ for one in document) for document in documents]
        sizes = [len(document) for document in documents]
        share = sum(missed) / sum(sizes)
        residuals = sum((m - share * n) ** 2 for m, n in zip(missed, sizes, strict=True))
        variance = residuals * len(documents) / max(len(documents) - 1, 1)
        independent = sum(sizes) * share * (1 - share)
        expected = max(1.0, variance / independent) if independent else 1.0
        assert effect == pytest.approx(expected, abs=1e-4)


def draw_documents(generator: np.random.Generator, *, count: int) -> list[tuple[int, list[int]]]:
    """Return sizes and bins of documents, some of which are much harder than others."""
    documents = []
    for size in generator.integers(5, 20, count).tolist():
        hardness = generator.exponential(40)
        documents.append((size, generator.normal(120 - hardness, 30, size).astype(int).tolist()))
    return documents


def counts_of(documents: list[tuple[int, list[int]]]) -> CoverageCounts:
    sums, bins = ClusterSums(), Counter[int]()
    for _, document in documents:
        sums.add(document, unscored=0)
        bins.update(document)
    empty = ScoreHistogram()
    return CoverageCounts(
        floor=1e-6,
        clustering=1.0,
        clusterings=tuple(sums.design_effects()),
        identifiers={"NAME": ScoreHistogram(bins=tuple(sorted(bins.items(), reverse=True)))},
        documents=ScoreHistogram(unscored=len(documents)),
        characters=empty,
        tokens=empty,
        other_tokens=empty,
    )


def test_the_target_is_missed_in_no_more_than_its_share_of_samples() -> None:
    generator, samples, target = np.random.default_rng(5), 40, 0.9
    population = draw_documents(generator, count=300)
    whole, failed = counts_of(population), Counter[str]()
    for _ in range(samples):
        counts = counts_of([population[index] for index in generator.integers(0, 300, 40)])
        independent = counts.model_copy(update={"clusterings": ()})
        for name, one in (("documents", counts), ("identifiers", independent)):
            chosen = one.choose_threshold(target)
            assert chosen.confidence == 90
            failed[name] += whole.point(chosen.threshold).coverage < target
    assert failed["documents"] <= samples * 0.1 + 2 * math.sqrt(samples * 0.1 * 0.9)
    assert failed["identifiers"] > 2 * failed["documents"]


def test_a_file_that_knows_one_clustering_takes_it_at_all_thresholds() -> None:
    counts = counts_of(draw_documents(np.random.default_rng(2), count=60))
    old = counts.model_dump(exclude={"clusterings"})
    targets = [
        CoverageCounts.model_validate(old | {"clustering": effect}).choose_threshold(0.9)
        for effect in (1.0, 3.0)
    ]
    assert [one.confidence for one in targets] == [90, 90]
    assert targets[0].threshold > targets[1].threshold


def test_scores_survive_json() -> None:
    counts = count(([ANA, PAZ], [part(0, 3, 0.9), part(4, 7, 0.2)], "a"))
    assert CoverageCounts.model_validate_json(counts.model_dump_json()) == counts


def test_the_table_shows_the_best_path_the_target_and_the_curve() -> None:
    counts = count(
        ([ANA, PAZ], [part(0, 3, 1.0), part(4, 7, 0.2), part(8, 11, 0.3)], "a"),
        ([ANA], [part(0, 3, 1.0)], "b"),
    )
    scores = make_coverage_scores(counts, counts.choose_threshold(0.9))
    assert list(coverage_lines(counts, scores)) == [
        "",
        "coverage of identifiers   covered  characters  documents  other tokens  precision",
        "best path                  0.6667      0.6667     0.5000       0.0000%     1.0000",
        "target 0.9                 1.0000      1.0000     1.0000      14.2857%     0.7500",
        "  expected                 1.0000      1.0000     1.0000      14.2857%     0.7500",
        "0.98, chosen on these      1.0000      1.0000     1.0000      14.2857%     0.7500",
        "0.99, chosen on these      1.0000      1.0000     1.0000      14.2857%     0.7500",
        "0.995, chosen on these     1.0000      1.0000     1.0000      14.2857%     0.7500",
        "0.998, chosen on these     1.0000      1.0000     1.0000      14.2857%     0.7500",
    ]
    assert scores.target is not None
    assert scores.target.measured.threshold == pytest.approx(lowest_score(score_bin(0.2)))
    assert scores.labels["NAME"].covered == 3
    uncovered = count(([ANA, PAZ], [part(0, 3, 1.0)], "a"))
    last = list(coverage_lines(uncovered, make_coverage_scores(uncovered, None)))[-1]
    assert last == "0.98, chosen on these     out of reach"
