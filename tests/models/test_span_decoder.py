from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.models import span_decoder
from annoseq.models.span_decoder import rows_of_like_length
from tests.models.tiny import batch_of, random_tagger, tagged


@given(lengths=st.lists(st.integers(1, 400), min_size=1, max_size=200))
def test_rows_of_like_length_are_all_rows_in_order(lengths: list[int]) -> None:
    ordered = np.array(sorted(lengths, reverse=True))
    parts = list(rows_of_like_length(ordered))
    assert np.concatenate([ordered[part] for part in parts]).tolist() == ordered.tolist()
    for part in parts[:-1]:
        assert part.stop - part.start >= 16
    padded = sum(len(ordered[part]) * int(ordered[part][0]) for part in parts)
    assert padded <= ordered.sum() / 0.75 + 16 * int(ordered[0]) * len(parts)


@pytest.mark.parametrize("levels", [1, 2])
def test_spans_do_not_depend_on_the_rows_decoded_with_them(
    levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = random_tagger(levels=levels)
    rows = [
        tagged(tagger, [f"w{number}" for number in range(length)], levels=levels)
        for length in (30, 29, 8, 7, 2)
    ]
    expected = tagger.spans(batch_of(*rows))
    monkeypatch.setattr(span_decoder, "_MIN_ROWS", 1)
    assert [part.stop for part in rows_of_like_length(np.array([30, 29, 8, 7, 2]))] == [2, 4, 5]
    for one, other in zip(tagger.spans(batch_of(*rows)), expected, strict=True):
        assert [span[:3] for span in one.spans] == [span[:3] for span in other.spans]
        assert one.score == pytest.approx(other.score, abs=1e-3)
