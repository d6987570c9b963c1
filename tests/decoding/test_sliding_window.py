from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.decoding.sliding_window import Window, cut_windows, merge_windows
from annoseq.tokenization.bioes import TokenSpan
from annoseq.tokenization.length_stats import LengthStats, is_line_break

SHORTEST = 32
_tokens = st.lists(st.sampled_from(["a", "a", "a", "b", " ", "\n", "\r", "\v"]), max_size=300)
_length_stats = st.builds(
    LengthStats,
    longest_source=st.integers(0, 60),
    longest_span=st.integers(0, 80),
    has_line_breaks=st.booleans(),
)


def owned(windows: list[Window]) -> list[int]:
    return [place for one in windows for place in range(one.owned_first, one.owned_last)]


@settings(max_examples=200, deadline=None)
@given(tokens=_tokens, length_stats=_length_stats)
def test_every_token_is_owned_by_exactly_one_window(
    tokens: list[str], length_stats: LengthStats
) -> None:
    windows = cut_windows(tokens, length_stats)
    assert owned(windows) == [
        place
        for place, token in enumerate(tokens)
        if length_stats.has_line_breaks or not is_line_break(token)
    ]
    for one in windows:
        assert one.first <= one.owned_first < one.owned_last <= one.last


@settings(max_examples=200, deadline=None)
@given(tokens=_tokens, length_stats=_length_stats)
def test_no_window_is_longer_than_the_training_sources(
    tokens: list[str], length_stats: LengthStats
) -> None:
    """Nor does one hold a line break if the model has never seen one."""
    for one in cut_windows(tokens, length_stats):
        assert one.last - one.first <= max(length_stats.longest_source, SHORTEST)
        assert length_stats.has_line_breaks or not any(
            map(is_line_break, tokens[one.first : one.last])
        )


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 500), length_stats=_length_stats)
def test_a_window_has_a_spans_length_of_context_around_owned_tokens(
    length: int, length_stats: LengthStats
) -> None:
    windows = cut_windows(["a"] * length, length_stats)
    size = max(length_stats.longest_source, SHORTEST)
    margin = min(length_stats.longest_span, size // 4)
    for one in windows:
        assert one.owned_first == one.first == 0 or one.owned_first - one.first >= margin
        assert one.owned_last == one.last == length or one.last - one.owned_last >= margin


def test_a_short_text_is_one_window() -> None:
    length_stats = LengthStats(longest_source=40, longest_span=3)
    assert cut_windows(["a"] * 40, length_stats) == [Window(0, 40, 0, 40)]
    assert cut_windows([], length_stats) == []


def test_a_long_text_has_overlapping_windows() -> None:
    length_stats = LengthStats(longest_source=40, longest_span=4)
    assert cut_windows(["a"] * 100, length_stats) == [
        Window(0, 40, 0, 36),
        Window(32, 72, 36, 68),
        Window(64, 100, 68, 100),
    ]


def test_short_training_sources_make_no_short_windows() -> None:
    assert cut_windows(["a"] * SHORTEST, LengthStats(longest_source=2)) == [Window(0, 32, 0, 32)]


def test_lines_are_windows_if_training_had_no_line_breaks() -> None:
    tokens = ["\n", "a", "b", "\r", "\n", "c", "\v", "d", "\n"]
    assert cut_windows(tokens, LengthStats()) == [Window(1, 3, 1, 3), Window(5, 8, 5, 8)]
    assert cut_windows(["\n", "\r"], LengthStats()) == []
    whole = LengthStats(has_line_breaks=True)
    assert cut_windows(tokens, whole) == [Window(0, 9, 0, 9)]


WINDOWS = [Window(0, 40, 0, 36), Window(32, 72, 36, 68)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([[(1, 3)], [(10, 12)]], [(1, 3), (42, 44)]),
        # Both windows find the same span: the one in whose share it begins keeps it.
        ([[(33, 35)], [(1, 3)]], [(33, 35)]),
        ([[(37, 39)], [(5, 7)]], [(37, 39)]),
        # A span may reach out of its share, and then nothing of the next window may overlap it.
        ([[(34, 40)], [(6, 9)]], [(34, 40)]),
        ([[(34, 40)], [(4, 9), (8, 9)]], [(34, 40), (40, 41)]),
        # Spans of one window may lie in one another.
        ([[(1, 9), (1, 4), (5, 9)], []], [(1, 9), (1, 4), (5, 9)]),
        # The outer one began before the share.
        ([[], [(3, 9), (5, 6)]], [(37, 38)]),
        ([[], []], []),
    ],
)
def test_merging_of_windows(
    found: list[list[tuple[int, int]]], expected: list[tuple[int, int]]
) -> None:
    spans = [[TokenSpan(*span, label=7, score=-1.0) for span in some] for some in found]
    assert merge_windows(WINDOWS, spans) == [
        TokenSpan(*span, label=7, score=-1.0) for span in expected
    ]


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 200), length_stats=_length_stats, data=st.data())
def test_merged_spans_never_cross(
    length: int, length_stats: LengthStats, data: st.DataObject
) -> None:
    windows = cut_windows(["a"] * length, length_stats)
    found = [data.draw(_nested(one.last - one.first)) for one in windows]
    joined = merge_windows(windows, found)
    assert [span.first for span in joined] == sorted(span.first for span in joined)
    for place, one in enumerate(joined):
        assert 0 <= one.first < one.last <= length
        for other in joined[place + 1 :]:
            assert other.first >= one.last or other.last <= one.last


@st.composite
def _nested(draw: st.DrawFn, length: int) -> list[TokenSpan]:
    """Spans in opening order that lie in one another or apart."""
    kept: list[TokenSpan] = []
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, length - 1))
        span = TokenSpan(first, draw(st.integers(first + 1, length)), 0, 0.0)
        if not any(
            one.first < span.first < one.last < span.last
            or span.first < one.first < span.last < one.last
            for one in kept
        ):
            kept.append(span)
    return sorted(kept, key=lambda span: (span.first, -span.last))
