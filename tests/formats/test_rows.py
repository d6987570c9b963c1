from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import parse
from annoseq.data.pairs import read_pairs, write_pairs
from annoseq.data.text_inputs import InputText, read_texts
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.documents import Document, Mention, remove_crossing
from annoseq.formats.rows import read_documents, to_pairs
from annoseq.inference.annotation import Annotation
from annoseq.inference.streaming import format_annotation, header
from tests.formats.documents import documents, mention, normal

if TYPE_CHECKING:
    from annoseq.formats.sentence_splitter import RowUnit
    from annoseq.inference.streaming import OutputFormat


def taggable(document: Document, name: str) -> Document:
    """Reduce a document to mentions that tags can hold, and rename it."""
    parts = [part for one in document.mentions for part in one.split_fragments()]
    fragments = [part for part in parts if document.text[part.start : part.end].strip()]
    kept, _ = remove_crossing(tuple(fragments), keep_nested=True)
    mentions = (Mention(one.fragments, one.label.replace("two words", "two_words")) for one in kept)
    return Document(name, document.text, tuple(mentions))


def annotate(source: Path, gold: Path, out: Path) -> None:
    """Write the output of a model that finds exactly the gold spans."""
    format_: OutputFormat = "csv" if out.suffix == ".csv" else "jsonl"
    texts = list(read_texts(source, column="orig_text"))
    lines = []
    for text, pair in zip(texts, read_pairs(gold), strict=True):
        assert text == InputText(str(pair.row), pair.source, pair.document, pair.start)
        spans = tuple(parse(pair.target)[1])
        lines.append(
            format_annotation(text, Annotation(text.text, pair.target, spans, -0.5), format_)
        )
    out.write_bytes((header(format_) + "".join(lines)).encode())


@settings(max_examples=15, deadline=None)
@given(
    corpus=st.lists(documents(), min_size=1, max_size=3),
    unit=st.sampled_from(["document", "line", "sentence"]),
    suffix=st.sampled_from(["jsonl", "csv"]),
)
def test_annotated_rows_are_the_imported_documents(
    corpus: list[Document], unit: RowUnit, suffix: str
) -> None:
    corpus = [taggable(document, f"d{number}") for number, document in enumerate(corpus)]
    corpus = [document for document in corpus if document.text.strip()]
    if not corpus:
        return
    with TemporaryDirectory() as folder:
        pairs, out = Path(folder) / "pairs.csv", Path(folder) / f"out.{suffix}"
        write_pairs(to_pairs(corpus, unit=unit, losses=ConversionLosses()), pairs, overwrite=False)
        annotate(pairs, pairs, out)
        joined = list(read_documents(out, losses=ConversionLosses(), notes=ConversionLosses()))
        direct = list(read_documents(pairs, losses=ConversionLosses(), notes=ConversionLosses()))
    assert [*map(normal, joined)] == [*map(normal, direct)]
    assert [document.id for document in joined] == [document.id for document in corpus]
    for document, expected in zip(joined, corpus, strict=True):
        assert normal(document).mentions == normal(expected).mentions
        for ours, theirs in zip(document.text, expected.text, strict=False):
            assert ours == theirs or (ours == "\n" and theirs.isspace())
        assert expected.text[len(document.text) :].strip() == ""
        assert unit != "document" or document.text == expected.text


def test_a_mention_of_white_space_alone_is_left_out_and_counted(tmp_path: Path) -> None:
    document = Document("d", " \nAmes", (mention(0, 1, "A"), mention(2, 6, "B")))
    losses, path = ConversionLosses(), tmp_path / "pairs.csv"
    write_pairs(to_pairs([document], unit="line", losses=losses), path, overwrite=False)
    assert [(pair.source, pair.target) for pair in read_pairs(path)] == [
        ("Ames", "{{B}}Ames{{/B}}")
    ]
    assert losses.lines() == ["1 annotation of white space alone, left out (first: d: A at 0-1)"]


def test_rows_may_be_in_any_order_and_without_offsets(tmp_path: Path) -> None:
    path, notes = tmp_path / "out.jsonl", ConversionLosses()
    rows = [("b", "one"), ("a", "two"), ("b", "three"), (None, "four")]
    lines: list[dict[str, object]] = [
        {"id": str(number), "doc_id": name, "text": text, "spans": []}
        for number, (name, text) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(read_documents(path, losses=ConversionLosses(), notes=notes)) == [
        Document("3", "four"),
        Document("b", "one\nthree"),
        Document("a", "two"),
    ]
    assert len(notes) == 1


@settings(max_examples=20, deadline=None)
@given(document=documents(), unit=st.sampled_from(["document", "line", "sentence"]))
def test_pairs_cover_the_document(document: Document, unit: RowUnit) -> None:
    losses = ConversionLosses()
    pairs = list(to_pairs([document], unit=unit, losses=losses))
    spans = []
    end = 0
    for pair in pairs:
        assert pair.document == document.id
        assert pair.start is not None
        assert pair.start >= end
        assert document.text[end : pair.start].strip() == ""
        end = pair.start + len(pair.source)
        assert document.text[pair.start : end] == pair.source
        text, pair_spans = parse(pair.target)
        assert text == pair.source
        spans += [(s.start + pair.start, s.end + pair.start, s.label) for s in pair_spans]
    assert document.text[end:].strip() == ""
    if not losses:
        mentions = [(m.start, m.end, m.label) for m in document.mentions]
        assert sorted(spans) == sorted(mentions)


def convert(*mentions: Mention) -> tuple[str, list[str]]:
    losses = ConversionLosses()
    (pair,) = to_pairs([Document("d", "abcdef", mentions)], unit="line", losses=losses)
    return pair.target, losses.lines()


def test_of_two_that_cross_the_first_is_kept_and_the_other_named() -> None:
    target, lines = convert(mention(0, 3, "A"), mention(2, 5, "B"))
    assert target == "{{A}}abc{{/A}}def"
    expected = "1 annotation left out, because tags cannot cross"
    assert lines == [f"{expected} (first: d: B at 2-5)"]


def test_fragments_become_spans_and_are_named() -> None:
    target, lines = convert(Mention(((0, 1), (2, 3)), "A"))
    assert target == "{{A}}a{{/A}}b{{A}}c{{/A}}def"
    expected = "1 discontinuous annotation split into one span for each fragment"
    assert lines == [f"{expected} (first: d: A at 0-1, 2-3)"]


def test_a_label_that_cannot_stand_in_a_tag_is_rewritten_and_named() -> None:
    target, lines = convert(mention(0, 1, "two {words}"))
    assert target == "{{two_words_}}a{{/two_words_}}bcdef"
    expected = "1 label written two_words_, because of what a tag can hold"
    assert lines == [f"{expected} (first: d: (a label of 11 characters) at 0-1)"]


def test_nested_mentions_are_nested_tags() -> None:
    target, lines = convert(mention(1, 2, "B"), mention(0, 3, "A"), mention(0, 3, "C"))
    assert target == "{{A}}{{C}}a{{B}}b{{/B}}c{{/C}}{{/A}}def"
    assert lines == []


def test_documents_without_text_have_no_row() -> None:
    losses = ConversionLosses()
    assert list(to_pairs([Document("d", " \n ")], unit="line", losses=losses)) == []
    assert losses.lines() == ["1 document without text and so without a row (first: d)"]
