from __future__ import annotations

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import (
    ConversionLosses,
    FormatCapabilities,
    drop_unsupported,
    has_no_nul,
    is_single_word,
)
from annoseq.formats.documents import Document, Mention
from tests.formats.documents import mention

DOCUMENT = Document(
    "d",
    "abcdefghi",
    (
        mention(0, 4, "A", 0.5),
        mention(1, 2, "B"),
        mention(3, 6, "C"),
        mention(7, 8, "two words"),
        Mention(((6, 7), (8, 9)), "D"),
    ),
)


def reduce(capabilities: FormatCapabilities, *documents: Document) -> tuple[list[str], list[str]]:
    losses = ConversionLosses()
    reduced = list(drop_unsupported(documents, capabilities, losses))
    mentions = [one.location() for document in reduced for one in document.mentions]
    return mentions, [line.partition(" (")[0] for line in losses.lines()]


def test_a_format_that_holds_everything_loses_nothing() -> None:
    capabilities = FormatCapabilities(scores=True, discontinuous=True, crossing=True, nested=True)
    losses = ConversionLosses(format_name="x")
    assert list(drop_unsupported([DOCUMENT], capabilities, losses)) == [DOCUMENT]


def test_unsupported_features_are_dropped_and_counted() -> None:
    assert reduce(FormatCapabilities(nested=True, supports_label=is_single_word), DOCUMENT) == (
        ["A at 0-4", "B at 1-2", "D at 6-7", "D at 8-9"],
        [
            "1 score left out: this format has no place for scores",
            "1 annotation with labels that it cannot hold, left out",
            "1 discontinuous annotation split into fragments",
            "1 crossing annotation left out",
        ],
    )
    mentions, lines = reduce(FormatCapabilities(), DOCUMENT)
    assert mentions == ["A at 0-4", "D at 6-7", "(a label of 9 characters) at 7-8", "D at 8-9"]
    assert lines[-1] == "2 overlapping or nested annotations left out"


def test_documents_with_unsupported_texts_are_left_out() -> None:
    capabilities = FormatCapabilities(supports_text=has_no_nul)
    assert reduce(capabilities, Document("n", "a\0"), Document("o", "a")) == (
        [],
        ["1 document with characters that it cannot hold, left out"],
    )


def test_losses_are_counted_by_kind_with_the_first_place() -> None:
    losses = ConversionLosses()
    losses.add("score", "left out", where="a")
    losses.add("note", "kept", where="b", count=2)
    losses.add("score", "left out", where="c", count=1_000)
    assert len(losses) == 1_003
    assert losses.lines() == ["1,001 scores left out (first: a)", "2 notes kept (first: b)"]


def test_losses_that_are_not_accepted_are_refused() -> None:
    losses = ConversionLosses(format_name="conll")
    with pytest.raises(FormatError) as caught:
        losses.add("score", "left out", where="d: A at 0-1")
    assert str(caught.value) == (
        "d: A at 0-1: conll cannot hold this: scores left out. Choose a format that can, or add "
        "--lossy to accept such losses and count them."
    )
