"""Hugging Face datasets of annotated texts, to pairs and back.

Two kinds are common: `tokens` with a list of tags, `ner_tags`, whose names are in the features
(`ClassLabel`); and `text` with a list of `spans` (`start`, `end`, `label`). `Pairs.from_dataset`
and `Pairs.to_dataset` are for datasets of pairs.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from annoseq.data.examples import parse_pairs
from annoseq.data.frame_table import load_datasets
from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import FormatError, OptionError, count_noun, quote_name
from annoseq.formats.capabilities import ConversionLosses, drop_unsupported
from annoseq.formats.conll import (
    CAPABILITIES,
    TaggedDocument,
    parse_tag,
    tag_tokens,
)
from annoseq.formats.documents import Document, Mention
from annoseq.formats.json_values import (
    require_field,
    require_int,
    require_label,
    require_object,
    require_text,
)
from annoseq.formats.offsets import RawSpan, resolve_spans
from annoseq.formats.rows import render_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from datasets import Dataset

    from annoseq.data.frame_table import HuggingFaceDataset

_OUTSIDE = "O"


def from_token_dataset(
    dataset: HuggingFaceDataset,
    *,
    tokens: str = "tokens",
    tags: str = "ner_tags",
    text: str | None = None,
    document: str | None = None,
    losses: ConversionLosses | None = None,
) -> Pairs:
    """Return the pairs of one split of a dataset of tokens and tags (IOB1, IOB2, BIOES or BILOU).

    Tags are names, or numbers whose names are in the features. The text is the tokens joined with
    spaces, unless the column `text` has it. `document` is the column of the documents' ids. What
    tags of pairs cannot hold is counted in `losses`, if given, or else refused.

    Raises:
        FormatError: a row is not well-formed, or cannot be held.
        OptionError: there is no such column.
    """
    _check_columns(dataset, [tokens, tags, *filter(None, (text, document))])
    names = _tag_names(dataset, tags)
    documents = (
        _read_tokens(row, f"row {number}", names, tokens=tokens, tags=tags, text=text)
        for number, row in enumerate(dataset, 1)
    )
    return _to_pairs(documents, dataset, document, losses)


def from_span_dataset(
    dataset: HuggingFaceDataset,
    *,
    text: str = "text",
    spans: str = "spans",
    document: str | None = None,
    losses: ConversionLosses | None = None,
) -> Pairs:
    """Return the pairs of one split of a dataset of texts and spans, in code points.

    `document` and `losses` are those of `from_token_dataset`.

    Raises:
        FormatError: a row is not well-formed, or cannot be held.
        OptionError: there is no such column.
    """
    _check_columns(dataset, [text, spans, *filter(None, (document,))])
    documents = (
        _read_spans(row, f"row {number}", text=text, spans=spans)
        for number, row in enumerate(dataset, 1)
    )
    return _to_pairs(documents, dataset, document, losses)


def to_token_dataset(
    pairs: Iterable[Pair],
    *,
    labels: Sequence[str] | None = None,
    losses: ConversionLosses | None = None,
) -> Dataset:
    """Return a dataset of `id`, `text`, `tokens` and `ner_tags`, a `ClassLabel` in IOB2.

    Tokens are words, numbers and marks, cut at the edges of spans, without the white space.
    `labels` are those of the features, in their order, by default those that occur. Nested spans
    have no place: they are refused, or left out and counted in `losses`, if given.

    Raises:
        FormatError: spans nest, or a label is not among `labels`.
        OptionError: the library `datasets` is not installed.
        PairsError: a pair cannot be used.
    """
    datasets = load_datasets()
    given = ConversionLosses() if losses is None else losses
    documents = _documents(pairs, are_tight=True)
    reduced = list(drop_unsupported(documents, CAPABILITIES, given))
    if losses is None:
        _refuse(given, "tags of tokens", advice="Use to_span_dataset")
    names = _class_names(reduced, labels)
    rows = [_token_row(document) for document in reduced]
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "text": datasets.Value("string"),
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=names)),
        }
    )
    table: Dataset = datasets.Dataset.from_list(rows, features=features)
    return table


def to_span_dataset(pairs: Iterable[Pair]) -> Dataset:
    """Return a dataset of `id`, `text` and `spans` (`start`, `end`, `label`), in code points.

    Raises:
        OptionError: the library `datasets` is not installed.
        PairsError: a pair cannot be used.
    """
    datasets = load_datasets()
    rows = [
        {
            "id": document.id,
            "text": document.text,
            "spans": [
                {"start": mention.start, "end": mention.end, "label": mention.label}
                for mention in document.mentions
            ],
        }
        for document in _documents(pairs)
    ]
    span = {"start": "int64", "end": "int64", "label": "string"}
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "text": datasets.Value("string"),
            "spans": [{name: datasets.Value(kind) for name, kind in span.items()}],
        }
    )
    table: Dataset = datasets.Dataset.from_list(rows, features=features)
    return table


def _documents(pairs: Iterable[Pair], *, are_tight: bool = False) -> Iterator[Document]:
    """Yield the text of each pair with its spans; its id has the number of its row.

    Tight spans have no white space at their edges.
    """
    for example in parse_pairs(pairs, task="annotate").examples:
        spans = example.tight_spans if are_tight else example.spans or ()
        mentions = tuple(map(Mention.from_span, spans))
        name = f"row {example.row}"
        yield Document(name, example.source, mentions, name)


def _token_row(document: Document) -> dict[str, Any]:
    tagged = [(token, tag) for token, tag in tag_tokens(document) if not token.isspace()]
    return {
        "id": document.id,
        "text": document.text,
        "tokens": [token for token, _ in tagged],
        "ner_tags": [tag for _, tag in tagged],
    }


def _class_names(documents: Iterable[Document], labels: Sequence[str] | None) -> list[str]:
    """Return the names of the tags, O first."""
    used = {mention.label for document in documents for mention in document.mentions}
    known = sorted(used) if labels is None else list(labels)
    if unknown := sorted(used - set(known)):
        raise FormatError(
            f"labels: the pairs have the label {quote_name(unknown[0], kind='label')}, which is "
            "not among them. Add it."
        )
    return [_OUTSIDE, *chain.from_iterable((f"B-{label}", f"I-{label}") for label in known)]


def _to_pairs(
    documents: Iterable[Document],
    dataset: HuggingFaceDataset,
    document: str | None,
    losses: ConversionLosses | None,
) -> Pairs:
    given = ConversionLosses() if losses is None else losses
    ids: Iterable[Any] = (row[document] if document else None for row in dataset)
    pairs = [
        Pair(
            one.text,
            render_document(one, given),
            number,
            None if name is None else require_text(name, one.place),
        )
        for number, (one, name) in enumerate(zip(documents, ids, strict=True), 1)
    ]
    if losses is None:
        _refuse(given, "pairs", advice="Correct the dataset")
    return Pairs(pairs, name="the dataset")


def _refuse(losses: ConversionLosses, holder: str, *, advice: str) -> None:
    """Raise `FormatError` if anything is lost."""
    if len(losses):
        raise FormatError(
            f"{holder} cannot hold this: {losses.lines()[0]}. {advice}, or give "
            "losses=ConversionLosses(), which counts what is left out."
        )


def _read_tokens(
    row: Mapping[str, Any],
    place: str,
    names: Sequence[str] | None,
    *,
    tokens: str,
    tags: str,
    text: str | None,
) -> Document:
    words, values = list(row[tokens]), list(row[tags])
    if len(words) != len(values):
        raise FormatError(
            f"{place}: found {count_noun(len(values), 'tag')} of "
            f"{count_noun(len(words), 'token')}. Give each token one."
        )
    document = TaggedDocument(place, place)
    gaps: Iterable[str | None] = [None] * len(words)
    if text is not None:
        document.gap, *gaps = _gaps(require_text(row[text], place), words, place)
    for word, gap, value in zip(words, gaps, values, strict=True):
        tag = _tag_name(value, names, place)
        document.add_token(require_text(word, place), gap, parse_tag(tag, place))
    return document.build()


def _gaps(text: str, words: Sequence[str], place: str) -> list[str]:
    """Return what is before the first token in a text, and after each."""
    gaps, cursor = [], 0
    for number, word in enumerate(words, 1):
        start = text.find(word, cursor)
        if start < 0:
            raise FormatError(
                f"{place}: token {number} does not follow the others in the text. Correct it, or "
                "leave the column of the text off: tokens are then joined with spaces."
            )
        gaps.append(text[cursor:start])
        cursor = start + len(word)
    return [*gaps, text[cursor:]]


def _read_spans(row: Mapping[str, Any], place: str, *, text: str, spans: str) -> Document:
    whole, raw = require_text(row[text], place), []
    for number, value in enumerate(row[spans], 1):
        where = f"{place}: span {number}"
        fields = require_object(value, where)
        start = require_int(require_field(fields, "start", where), where)
        end = require_int(require_field(fields, "end", where), where)
        label = require_label(require_field(fields, "label", where), where)
        raw.append(RawSpan(((start, end),), label, None, where))
    _, mentions = resolve_spans([whole], raw, unit="characters")
    return Document(place, whole, mentions, place)


def _tag_names(dataset: HuggingFaceDataset, column: str) -> Sequence[str] | None:
    """Return the names of the tags by number, None if the features have none."""
    features = getattr(dataset, "features", None) or {}
    inner = getattr(features.get(column), "feature", None)
    return getattr(inner, "names", None)


def _tag_name(value: Any, names: Sequence[str] | None, place: str) -> Any:
    if type(value) is not int:
        return value
    if names is None or not 0 <= value < len(names):
        raise FormatError(
            f"{place}: found a tag that is a number, and the features do not name it. Make it a "
            "ClassLabel, or write the names, such as B-PER."
        )
    return names[value]


def _check_columns(dataset: HuggingFaceDataset, columns: Iterable[str]) -> None:
    names = dataset.column_names
    if not isinstance(names, list):
        raise OptionError(
            'these are several splits of a dataset. Name one, such as dataset["train"].'
        )
    for column in columns:
        if column not in names:
            known = ", ".join(quote_name(name) for name in names)
            raise OptionError(
                f"the dataset has no column {quote_name(column)}. It has {known}: name the column."
            )
