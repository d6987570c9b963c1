from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document, Mention
from tests.formats.documents import FILES, PLAIN, documents, mention, normal, there_and_back

if TYPE_CHECKING:
    from annoseq.formats.registry import CorpusFormat

STANDOFF: list[CorpusFormat] = ["brat", "i2b2", "pubtator", "doccano", "label-studio"]
STANDOFF += ["spacy-jsonl", "spacy", "spans"]
NESTING: list[CorpusFormat] = ["folders", "inline", "inline-xml"]

TEXT = "😀 Dr. Ames of Rome"
NESTED = Document("n", TEXT, (mention(2, 10, "PERSON"), mention(6, 10, "NAME")))
CROSSING = Document("c", TEXT, (mention(2, 10, "PERSON"), mention(6, 13, "NAME")))
PARTED = Document("p", TEXT, (Mention(((2, 5), (6, 10)), "NAME"),))
SCORED = Document("s", TEXT, (mention(6, 10, "NAME", 0.5),))


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    if "spacy" in request.node.name:
        pytest.importorskip("spacy")


@pytest.mark.parametrize("name", FILES)
def test_plain_documents_come_back(name: CorpusFormat, tmp_path: Path) -> None:
    assert [*map(normal, there_and_back(name, PLAIN, tmp_path))] == [*map(normal, PLAIN)]


@pytest.mark.parametrize("name", [*STANDOFF, *NESTING])
def test_nested_annotations_come_back(name: CorpusFormat, tmp_path: Path) -> None:
    assert [*map(normal, there_and_back(name, [NESTED], tmp_path))] == [normal(NESTED)]


@pytest.mark.parametrize("name", STANDOFF)
def test_crossing_annotations_come_back(name: CorpusFormat, tmp_path: Path) -> None:
    assert [*map(normal, there_and_back(name, [CROSSING], tmp_path))] == [normal(CROSSING)]


def test_discontinuous_annotations_come_back_from_brat(tmp_path: Path) -> None:
    assert there_and_back("brat", [PARTED], tmp_path) == [PARTED]


@pytest.mark.parametrize("name", ["label-studio", "spacy-jsonl", "spans"])
def test_scores_come_back(name: CorpusFormat, tmp_path: Path) -> None:
    assert there_and_back(name, [SCORED], tmp_path) == [SCORED]


def test_scores_that_a_format_has_no_place_for_are_dropped_with_a_note(tmp_path: Path) -> None:
    strict = ConversionLosses(format_name="brat")
    found = there_and_back("brat", [SCORED], tmp_path, losses=strict)
    assert found == [Document("s", TEXT, (mention(6, 10, "NAME"),))]
    note = "1 score left out: this format has no place for scores (first: s: NAME at 6-10)"
    assert strict.lines() == [note]


@pytest.mark.parametrize(
    ("name", "document", "message"),
    [
        (
            "conll",
            NESTED,
            "n: NAME at 6-10: conll cannot hold this: overlapping or nested annotations left out. "
            "Choose a format that can, or add --lossy to accept such losses and count them.",
        ),
        ("inline", CROSSING, "c: NAME at 6-13: inline cannot hold this: crossing annotations"),
        ("pubtator", PARTED, "p: NAME at 2-5, 6-10: pubtator cannot hold this: discontinuous"),
        ("pubtator", Document("l", "a\nb\nc"), "l: pubtator cannot hold this: line ends"),
        ("i2b2", Document("x", "a\x01"), "x: i2b2 cannot hold this: documents with characters"),
        (
            "inline-xml",
            Document("y", "ab", (mention(0, 1, "a/b"),)),
            "y: a/b at 0-1: inline-xml cannot hold this: annotations with labels",
        ),
        (
            "conll",
            Document("w", "a b", (mention(0, 2, "A"),)),
            "w: A at 0-2: conll cannot hold this: annotations with white space at the edges",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_an_error_or_a_counted_loss(
    name: CorpusFormat, document: Document, message: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError) as caught:
        there_and_back(name, [document], tmp_path)
    assert str(caught.value).startswith(message)
    losses = ConversionLosses()
    found = there_and_back(name, [PLAIN[1], document], tmp_path, losses=losses)
    assert PLAIN[1] in found
    assert len(losses) == 1
    assert losses.lines()[0].startswith("1 ")


@pytest.mark.parametrize("name", [name for name in FILES if name != "meddocan"])
def test_any_document_comes_back_or_is_refused(name: CorpusFormat) -> None:
    @settings(max_examples=6 if name == "spacy" else 12, deadline=None)
    @given(document=documents())
    @example(Document("a", "A", (mention(0, 1, "A"), mention(0, 1, "A", 0.25))))
    def check(document: Document) -> None:
        with TemporaryDirectory() as folder:
            try:
                found = there_and_back(name, [document], Path(folder))
            except FormatError:
                return
            assert [normal(one, name) for one in found] == [normal(document, name)]

    check()


@pytest.mark.parametrize("name", [name for name in FILES if name not in {"meddocan", "pubtator"}])
def test_with_losses_the_text_of_any_document_comes_back_or_is_counted(name: CorpusFormat) -> None:
    @settings(max_examples=5 if name == "spacy" else 8, deadline=None)
    @given(document=documents())
    def check(document: Document) -> None:
        with TemporaryDirectory() as folder:
            losses = ConversionLosses()
            try:
                found = there_and_back(name, [document], Path(folder), losses=losses)
            except FormatError:  # nothing is left of the corpus
                found = []
            assert found or losses
            assert found == [] or [one.text for one in found] == [document.text]
            assert len(losses) or [normal(one, name) for one in found] == [normal(document, name)]

    check()
