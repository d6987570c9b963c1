"""Two releases of a corpus in WebAnno TSV 3: the sentences of the first, and what was corrected.

The tokens of a document are aligned, so that corrections of the text do not count as corrections of
annotations; spans with a token that is in one release only are left out and counted. As in GUM, the
first column of a span layer is its label, and spans may be nested.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import Span, render
from annoseq.data.pairs import Pair
from benchmarks.corruption import Corruption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_LABEL = re.compile(r"(?P<label>.+?)(?:\[(?P<id>\d+)\])?")


class Token(NamedTuple):
    """A token: number of its sentence, and offsets in the sentence."""

    text: str
    sentence: int
    start: int
    end: int


class TokenSpan(NamedTuple):
    """A span of tokens of a document, end excluded."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its sentences, its tokens, and its spans."""

    sentences: Sequence[str]
    tokens: Sequence[Token]
    spans: frozenset[TokenSpan]


def read_document(path: Path) -> Document:
    """Read a file of WebAnno TSV 3."""
    sentences: list[str] = []
    tokens: list[Token] = []
    places: dict[tuple[str, str], list[int]] = {}
    begin = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#Text="):
            sentences.append(line.removeprefix("#Text="))
        cells = line.split("\t")
        if line.startswith("#") or len(cells) < 4:
            continue
        start, end = map(int, cells[1].split("-"))
        if not tokens or tokens[-1].sentence != len(sentences) - 1:
            begin = start
        tokens.append(Token(cells[2], len(sentences) - 1, start - begin, end - begin))
        for cell in cells[3].split("|"):
            found = _LABEL.fullmatch(cell)
            if found and found["label"] not in {"_", "*"}:
                own = found["id"] or f"token {len(tokens)}"
                places.setdefault((own, found["label"]), []).append(len(tokens) - 1)
    spans = {TokenSpan(min(at), max(at) + 1, label) for (_, label), at in places.items()}
    return Document(sentences, tokens, frozenset(spans))


@dataclass(frozen=True, slots=True)
class Revision:
    """Pairs of the first release, the corrections of their spans, and spans left out by reason."""

    pairs: Sequence[Pair]
    corrections: Sequence[Corruption]
    left_out: Counter[str]


def compare_releases(before: Path, after: Path, *, names: Iterable[str]) -> Revision:
    """Compare the documents that are in both folders."""
    pairs: list[Pair] = []
    corrections: list[Corruption] = []
    left_out: Counter[str] = Counter()
    for name in names:
        paths = (before / f"{name}.tsv", after / f"{name}.tsv")
        if not all(path.exists() for path in paths):
            left_out["documents"] += 1
            continue
        old, new = map(read_document, paths)
        first = len(pairs)
        spans = _by_sentence(old, old.spans, left_out)
        revised = _by_sentence(old, _aligned(new, old, left_out), left_out)
        kept = _by_sentence(old, _aligned(old, new, left_out, back=True), Counter())
        for number, text in enumerate(old.sentences):
            own = _well_nested(spans.get(number, []), left_out)
            pairs.append(Pair(text, render(text, own), first + number + 1, name))
            compared = set(own) & set(kept.get(number, []))
            corrections += _corrections(first + number, compared, set(revised.get(number, [])))
    return Revision(pairs, corrections, left_out)


def _aligned(
    one: Document, other: Document, left_out: Counter[str], *, back: bool = False
) -> list[TokenSpan]:
    """Return the spans of a document whose tokens are all in the other, in the other's tokens.

    With `back`, they are in the tokens of the document itself.
    """
    texts = [[token.text for token in document.tokens] for document in (one, other)]
    matcher = SequenceMatcher(a=texts[0], b=texts[1], autojunk=False)
    places = {a + i: b + i for a, b, size in matcher.get_matching_blocks() for i in range(size)}
    found = []
    for span in one.spans:
        at = [places.get(token) for token in range(span.first, span.last)]
        if at[0] is None or at[-1] is None or at[-1] - at[0] != len(at) - 1 or None in at:
            left_out["spans whose tokens were changed"] += 1
        else:
            moved = TokenSpan(at[0], at[-1] + 1, span.label)
            found.append(span if back else moved)
    return found


def _by_sentence(
    document: Document, spans: Iterable[TokenSpan], left_out: Counter[str]
) -> dict[int, list[Span]]:
    """Return the spans of each sentence, with offsets in it."""
    found: dict[int, list[Span]] = {}
    for span in spans:
        first, last = document.tokens[span.first], document.tokens[span.last - 1]
        if first.sentence == last.sentence:
            found.setdefault(first.sentence, []).append(Span(first.start, last.end, span.label))
        else:
            left_out["spans over two sentences"] += 1
    return found


def _well_nested(spans: Iterable[Span], left_out: Counter[str]) -> list[Span]:
    """Return the spans in opening order, without those that cross one before."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.label)):
        if any(other.start < span.start < other.end < span.end for other in kept):
            left_out["spans that cross another"] += 1
        else:
            kept.append(span)
    return kept


def _corrections(row: int, before: set[Span], after: set[Span]) -> list[Corruption]:
    """Return the differences between the spans of a sentence: pairs at the same place first."""
    removed, added = sorted(before - after), sorted(after - before)
    found = []
    for is_same in (_has_same_offsets, _has_same_label_nearby):
        for old in list(removed):
            new = next((span for span in added if is_same(old, span)), None)
            if new is not None:
                found.append(Corruption(row, new, old))
                removed.remove(old)
                added.remove(new)
    found += [Corruption(row, None, span) for span in removed]
    return found + [Corruption(row, span, None) for span in added]


def _has_same_offsets(one: Span, other: Span) -> bool:
    return (one.start, one.end) == (other.start, other.end)


def _has_same_label_nearby(one: Span, other: Span) -> bool:
    return one.label == other.label and one.start < other.end and other.start < one.end
