"""spaCy's binary `.spacy` files. Imports spaCy, so it is itself imported only when needed.

A document's annotations are its entities, or, where they overlap, the span group `sc` that spaCy's
span categorizer reads. Tokens are cut at the edges of annotations, for spaCy's spans are of tokens.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

from annoseq.data.streams import read_bytes
from annoseq.errors import FormatError, OptionError
from annoseq.formats.capabilities import Holds, holdable
from annoseq.formats.documents import Document, Mention, mention, outermost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses

_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
_GROUP = "sc"
_ID = "id"


def _holds_label(label: str) -> bool:
    return bool(label.strip()) and "\x00" not in label


def _holds_text(text: str) -> bool:
    return "\x00" not in text


HOLDS = Holds(crossing=True, nested=True, labels=_holds_label, texts=_holds_text)


def read(path: Path, *, losses: Losses) -> Iterator[Document]:
    """Read a file: entities and span groups.

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
        found = [_mention(span) for span in doc.ents]
        entities = set(found)
        for group in doc.spans.values():
            found += [one for one in map(_mention, group) if one not in entities]
        kept = [one for one in found if one.label]
        if len(kept) < len(found):
            losses.add("spans without a label, left out", where=f"{path}: document {number}")
        yield Document(str(doc.user_data.get(_ID, number)), doc.text, tuple(kept))


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write one file.

    Raises:
        OptionError: spaCy is not installed.
    """
    spacy = load_spacy()
    vocab = spacy.vocab.Vocab()
    docs = (_doc(one, spacy, vocab) for one in holdable(documents, HOLDS, losses))
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
    return mention(span.start_char, span.end_char, span.label_)


def _doc(document: Document, spacy: Any, vocab: Any) -> Any:
    starts = {one.start for one in document.mentions}
    ends = {one.end for one in document.mentions}
    edges = starts | ends
    words: list[str] = []
    spaces: list[bool] = []
    for piece in _TOKEN.finditer(document.text):
        cuts = [piece.start(), *(e for e in range(piece.start() + 1, piece.end()) if e in edges)]
        for start, end in zip(cuts, [*cuts[1:], piece.end()], strict=True):
            token = document.text[start:end]
            is_free = start not in starts and end not in ends
            if token == " " and words and not spaces[-1] and is_free:
                spaces[-1] = True  # as spaCy's own tokenizers have it
            else:
                words.append(token)
                spaces.append(False)
    doc = spacy.tokens.Doc(vocab, words=words, spaces=spaces)
    spans = [doc.char_span(one.start, one.end, label=one.label) for one in document.mentions]
    if outermost(document.mentions, nested=False)[1]:
        doc.spans[_GROUP] = spans
    else:
        doc.ents = spans
    doc.user_data[_ID] = document.id
    return doc
