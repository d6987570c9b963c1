"""spaCy's binary `.spacy` files (DocBin). The library is imported when it is used.

Annotations are written as entities or, if they overlap, as the span group `sc` that spaCy's span
categorizer reads. Tokens are cut at the edges of annotations, because spans of spaCy are of tokens.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from annoseq.data.streams import read_bytes
from annoseq.errors import FormatError, OptionError
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported, has_no_nul
from annoseq.formats.documents import Document, Mention, remove_crossing, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions

_GROUP = "sc"
_ID = "id"


def _supports_label(label: str) -> bool:
    return bool(label.strip()) and has_no_nul(label)


CAPABILITIES = FormatCapabilities(
    crossing=True, nested=True, supports_label=_supports_label, supports_text=has_no_nul
)


def read(path: Path, _: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read the entities and the span groups of a file.

    Raises:
        FormatError: the file is damaged, or not of this format.
        OptionError: spaCy is not installed.
    """
    spacy = load_spacy()
    data = read_bytes(path)
    try:
        docs = list(spacy.tokens.DocBin().from_bytes(data).get_docs(spacy.vocab.Vocab()))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error) as error:
        raise FormatError(
            f"{path}: this is not a file of spaCy's DocBin, or it is damaged. Write it again with "
            "DocBin.to_disk."
        ) from error
    for number, doc in enumerate(docs, 1):
        mentions = [_mention(span) for span in doc.ents]
        entities = set(mentions)
        for group in doc.spans.values():
            mentions += [mention for mention in map(_mention, group) if mention not in entities]
        place = f"{path}: document {number}"
        kept = [mention for mention in mentions if mention.label]
        if len(kept) < len(mentions):
            losses.add("span", "without a label, left out", where=place)
        yield Document(str(doc.user_data.get(_ID, number)), doc.text, tuple(kept), place)


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write one file.

    Raises:
        OptionError: spaCy is not installed.
    """
    spacy = load_spacy()
    vocab = spacy.vocab.Vocab()
    supported = drop_unsupported(documents, CAPABILITIES, losses)
    docs = (_doc(document, spacy, vocab) for document in supported)
    path.write_bytes(spacy.tokens.DocBin(docs=docs, store_user_data=True).to_bytes())


def load_spacy() -> Any:
    """Import spaCy.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import spacy
    except ImportError as error:
        raise OptionError(
            "this format needs spaCy, which is not installed. "
            "Install it: pip install 'annoseq[spacy]'."
        ) from error
    return spacy


def _mention(span: Any) -> Mention:
    return Mention.contiguous(span.start_char, span.end_char, span.label_)


def _doc(document: Document, spacy: Any, vocab: Any) -> Any:
    starts = {mention.start for mention in document.mentions}
    ends = {mention.end for mention in document.mentions}
    words: list[str] = []
    spaces: list[bool] = []
    for start, end in tokenize(document):
        token = document.text[start:end]
        is_outside = start not in starts and end not in ends
        if token == " " and words and not spaces[-1] and is_outside:
            spaces[-1] = True  # like spaCy's own tokenizers
        else:
            words.append(token)
            spaces.append(False)
    doc = spacy.tokens.Doc(vocab, words=words, spaces=spaces)
    spans = [doc.char_span(m.start, m.end, label=m.label) for m in document.mentions]
    if remove_crossing(document.mentions, keep_nested=False)[1]:
        doc.spans[_GROUP] = spans
    else:
        doc.ents = spans
    doc.user_data[_ID] = document.id
    return doc
