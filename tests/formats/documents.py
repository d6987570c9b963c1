"""Documents for tests, drawn and written by hand, and their round trip through a format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import export_corpus, read_corpus
from annoseq.formats.conversion_options import ExportOptions, ImportOptions
from annoseq.formats.documents import Document, Mention, remove_duplicates
from annoseq.formats.registry import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.formats.registry import CorpusFormat

OPTIONS = ImportOptions(source=SOURCE_COLUMN, target=TARGET_COLUMN)
mention = Mention.contiguous

FILES: dict[CorpusFormat, str] = {
    "brat": "corpus",
    "i2b2": "corpus",
    "meddocan": "corpus",
    "folders": "corpus",
    "inline": "corpus",
    "inline-xml": "corpus",
    "conll": "corpus.conll",
    "pubtator": "corpus.txt",
    "doccano": "corpus.jsonl",
    "label-studio": "corpus.json",
    "spacy-jsonl": "corpus.jsonl",
    "spacy": "corpus.spacy",
    "spans": "corpus.csv",
}
"""Every format, and a name of its corpora."""

PLAIN = [
    Document(
        "d1",
        "😀 Dr. Ames,\nseen 👩‍⚕️ 3 May & <later>.",
        (
            mention(6, 10, "NAME:DOCTOR"),
            mention(22, 23, "DATE"),
            mention(24, 27, "MONTH"),
        ),
    ),
    Document("d2", "Nothing here."),
    Document("d3", "AmesBond", (mention(0, 4, "NAME"), mention(4, 8, "NAME"))),
]
"""Documents that every format can hold, with characters of one to four bytes."""

_PIECES = [
    *["Ames", "Dr.", " ", "  ", "\n", "\r", "\r\n", "\t", "\u00a0", "é", "e\u0301", "😀", "\ufeff"],
    *["{{A}}", "{{/A}}", "{{\\A}}", "<b>", "]]>", "&amp;", "&", "|", "\\s", "#", "-DOCSTART-"],
    *["\u2028", "\x0b", "\x85", "[", "](A)", '"', ",", "_", "O", "1\t2", "]", "a|t|b"],
]
texts = st.lists(st.sampled_from(_PIECES) | st.characters(exclude_categories=["Cs"]), max_size=9)
labels = st.sampled_from(["A", "B", "NAME:DOCTOR", "X:X", "é", "a/b", "two words", "A-B"])


@st.composite
def mentions_of(draw: st.DrawFn, text: str) -> Mention:
    """Draw a mention of one or two fragments, with a score or without."""
    edges = st.lists(st.integers(0, len(text)), min_size=2, max_size=4, unique=True).map(sorted)
    offsets = draw(edges)
    fragments = [(offsets[0], offsets[1])]
    fragments += [(offsets[2], offsets[3])] if len(offsets) == 4 else []
    score = draw(st.sampled_from([None, None, None, 0.25]))
    return Mention(tuple(fragments), draw(labels), score)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Draw a document, which a format may not be able to hold."""
    text = "".join(draw(texts))
    drawn = draw(st.lists(mentions_of(text), max_size=3)) if text else []
    return Document("a", text, tuple(drawn))


def normal(document: Document, name: CorpusFormat | None = None) -> Document:
    """Sort the mentions of a document, for formats that write them in the text's order.

    With the name of a format, each mention is there once, with a score only if the format has them.
    """
    if name is not None:
        document, _ = remove_duplicates(document)
        if not FORMATS[name].holds_scores:
            unscored = tuple(replace(one, score=None) for one in document.mentions)
            document = replace(document, mentions=unscored)
    key = [(one.fragments, one.label, one.score or 0.0) for one in document.mentions]
    order = sorted(range(len(key)), key=lambda index: key[index])
    return Document(document.id, document.text, tuple(document.mentions[i] for i in order))


_EXPORT = ExportOptions()


def there_and_back(
    name: CorpusFormat,
    corpus: list[Document],
    folder: Path,
    *,
    losses: ConversionLosses | None = None,
    options: ExportOptions = _EXPORT,
) -> list[Document]:
    """Write documents in a format and read them again."""
    path = folder / FILES[name]
    folder.mkdir(exist_ok=True)
    strict = ConversionLosses(format_name=name)
    export_corpus(
        name,
        corpus,
        path,
        options=options,
        losses=strict if losses is None else losses,
        overwrite=False,
    )
    if name == "label-studio":
        written = (remove_duplicates(document)[0] for document in corpus)
        is_scored = any(one.score is not None for each in written for one in each.mentions)
        return read_from(name, path, options=replace(OPTIONS, predictions=is_scored))
    if name == "doccano":
        return read_from(name, path, options=replace(OPTIONS, offset_unit="utf-16"))
    return read_from(name, path)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files of a folder, by their paths in it; return the folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def read_from(
    name: CorpusFormat,
    source: Path,
    *,
    losses: ConversionLosses | None = None,
    options: ImportOptions = OPTIONS,
) -> list[Document]:
    """Read a corpus, with the default options if no others are given."""
    losses = ConversionLosses() if losses is None else losses
    return list(read_corpus(name, source, options, losses))
