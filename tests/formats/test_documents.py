from __future__ import annotations

import pytest

from annoseq.data.markup import Span
from annoseq.formats.documents import Document, Mention, remove_crossing, tokenize
from tests.formats.documents import mention

DISCONTINUOUS = Mention(((2, 4), (6, 9)), "A", 0.5)


def test_a_mention_reaches_from_its_first_to_its_last_fragment() -> None:
    assert (DISCONTINUOUS.start, DISCONTINUOUS.end) == (2, 9)
    assert DISCONTINUOUS.split_fragments() == [mention(2, 4, "A", 0.5), mention(6, 9, "A", 0.5)]
    assert DISCONTINUOUS.shifted(10) == Mention(((12, 14), (16, 19)), "A", 0.5)
    assert DISCONTINUOUS.location() == "A at 2-4, 6-9"
    assert Mention.from_span(Span(1, 2, "B", 0.25)) == mention(1, 2, "B", 0.25)


def test_a_text_is_not_shown() -> None:
    assert "Ames" not in repr(Document("d", "Ames"))


@pytest.mark.parametrize(
    ("keep_nested", "kept"), [(True, [(0, 5), (1, 3), (6, 8)]), (False, [(0, 5), (6, 8)])]
)
def test_crossing_mentions_are_removed(keep_nested: bool, kept: list[tuple[int, int]]) -> None:
    mentions = tuple(mention(*ends, "A") for ends in [(6, 8), (4, 7), (1, 3), (0, 5), (7, 9)])
    result, removed = remove_crossing(mentions, keep_nested=keep_nested)
    assert [one.fragments[0] for one in result] == kept
    assert sorted([*result, *removed], key=repr) == sorted(mentions, key=repr)


def test_tokens_are_cut_at_the_ends_of_mentions() -> None:
    document = Document("d", "Dr.  Ames!", (mention(4, 7, "A"), mention(6, 10, "B")))
    pieces = [document.text[start:end] for start, end in tokenize(document)]
    assert pieces == ["Dr", ".", " ", " ", "A", "m", "es", "!"]
