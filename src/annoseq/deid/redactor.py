"""Redactor: labels, masks or surrogates for detected spans and matches of custom patterns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TYPE_CHECKING, TypeAlias

from pydantic import field_validator

from annoseq.data.markup import is_label, trim_range
from annoseq.deid.propagation import PropagatedValues, merge_overlapping, propagate
from annoseq.deid.redaction import (
    DetectedSpan,
    DocumentPart,
    RedactedText,
    RedactionDocument,
    Replacement,
)
from annoseq.tokenization.gazetteer import RegexPattern, find_matches, read_regex_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import regex

    from annoseq.deid.phi_types import PhiTypeTable
    from annoseq.deid.redaction import RedactionStyle
    from annoseq.deid.surrogates import SurrogateGenerator


ReplaceFunction: TypeAlias = Callable[[DetectedSpan, str], tuple[str | None, bool]]
"""Maps a span and its text to the replacement, and to True if that is a surrogate. None stands
for a mask."""

_MASK_CHARACTERS = "*#█_~=+^°·"


@dataclass(frozen=True)
class Redactor:
    """Redacts documents, each independently of the others.

    The style `surrogate` needs `surrogates`. Spans with a score below `min_score` stay as they
    are; spans without a score are replaced. `propagates` replaces detected values wherever they
    occur in the document.
    """

    table: PhiTypeTable
    style: RedactionStyle
    surrogates: SurrogateGenerator | None = None
    min_score: float = 0.0
    propagates: bool = True

    def redact(self, document: RedactionDocument) -> tuple[RedactedText, ...]:
        """Replace the detected spans of a document; return its texts in the order of its parts.

        A span within another is replaced with it, and crossing spans are replaced as one. No
        replacement brings a propagated value back.

        Raises:
            OptionError: a label has no PHI type.
        """
        low_scores = [sum(map(self._is_below, part.spans)) for part in document.parts]
        document = replace(document, parts=tuple(map(self._with_replaceable_spans, document.parts)))
        if self.propagates:
            document, values = propagate(document, self.table)
        else:
            values = PropagatedValues.from_document(document, self.table)
        merged = [merge_overlapping(part.spans) for part in document.parts]
        replacement_of = self._replace_function(document, merged, values)
        mask = _unused_mask_character(document)
        return tuple(
            replace(
                _redact_part(part, spans, replacement_of, values, mask=mask),
                nested_spans=_count_detected(part.spans) - _count_detected(spans),
                low_scores=count,
                kept=part.kept,
            )
            for part, spans, count in zip(document.parts, merged, low_scores, strict=True)
        )

    def _with_replaceable_spans(self, part: DocumentPart) -> DocumentPart:
        """Drop spans that are kept or score too low, and white space at the edges of the others."""
        spans = []
        for span in part.spans:
            start, end = trim_range(part.text, span.start, span.end)
            is_blank = not part.text[start:end].strip()
            if not is_blank and self._is_replaced(span):
                spans.append(replace(span, start=start, end=end))
        return replace(part, spans=tuple(spans))

    def _is_replaced(self, span: DetectedSpan) -> bool:
        is_kept = self.table.phi_type(span.label) == "keep"
        return not is_kept and not self._is_below(span)

    def _is_below(self, span: DetectedSpan) -> bool:
        return span.score is not None and span.score < self.min_score

    def _replace_function(
        self,
        document: RedactionDocument,
        merged: Sequence[Sequence[DetectedSpan]],
        values: PropagatedValues,
    ) -> ReplaceFunction:
        def label(span: DetectedSpan) -> str | None:
            written = f"[{span.label}]"
            return None if values.occur_in(written) else written

        if self.style == "mask":
            return lambda span, original: (None, False)
        if self.style == "label" or self.surrogates is None:
            return lambda span, original: (label(span), False)
        identifiers = [
            (self.table.phi_type(span.label), part.text[span.start : span.end])
            for part, spans in zip(document.parts, merged, strict=True)
            for span in spans
        ]
        surrogates = self.surrogates.for_document(document.id, identifiers, values)

        def surrogate(span: DetectedSpan, original: str) -> tuple[str | None, bool]:
            generated = surrogates.surrogate(self.table.phi_type(span.label), original)
            return (label(span), False) if generated is None else (generated, True)

        return surrogate


def _count_detected(spans: Sequence[DetectedSpan]) -> int:
    return sum(span.source != "propagated" for span in spans)


def _unused_mask_character(document: RedactionDocument) -> str:
    """Choose a character that occurs in none of the detected spans."""
    used = {
        character
        for part in document.parts
        for span in part.spans
        for character in part.text[span.start : span.end]
    }
    candidates = chain(_MASK_CHARACTERS, map(chr, count(0x2580)))
    return next(character for character in candidates if character not in used)


def _redact_part(
    part: DocumentPart,
    spans: Sequence[DetectedSpan],
    replacement_of: ReplaceFunction,
    values: PropagatedValues,
    *,
    mask: str,
) -> RedactedText:
    """Replace the spans of a part.

    A replacement and the text beside it may form a propagated value: then a mask is written
    instead.
    """
    masked: set[int] = set()
    while True:
        redacted = _replace_spans(part, spans, replacement_of, masked=masked, mask=mask)
        leaking = _leaking_replacements(redacted, values)
        if leaking <= masked:
            return redacted
        masked |= leaking


def _leaking_replacements(redacted: RedactedText, values: PropagatedValues) -> set[int]:
    """Return the indices of the replacements that overlap with an occurrence of a value."""
    starts = [replacement.start for replacement in redacted.replacements]
    ends = [replacement.end for replacement in redacted.replacements]
    return {
        index
        for occurrence in values.find(redacted.text)
        for index in range(
            bisect_right(ends, occurrence.start), bisect_left(starts, occurrence.end)
        )
    }


def _replace_spans(
    part: DocumentPart,
    spans: Sequence[DetectedSpan],
    replacement_of: ReplaceFunction,
    *,
    masked: set[int],
    mask: str,
) -> RedactedText:
    pieces: list[str] = []
    replacements: list[Replacement] = []
    cursor = length = 0
    for index, span in enumerate(spans):
        original = part.text[span.start : span.end]
        text, is_surrogate = (None, False) if index in masked else replacement_of(span, original)
        if text is None:
            text = _mask(original, mask)
        length += span.start - cursor
        pieces += [part.text[cursor : span.start], text]
        replacements.append(
            Replacement(span, length, length + len(text), original, text, is_surrogate)
        )
        length += len(text)
        cursor = span.end
    return RedactedText(part.id, "".join([*pieces, part.text[cursor:]]), tuple(replacements))


def _mask(text: str, mask: str) -> str:
    """Mask all characters but line ends, so that the lines stay as they are."""
    return "".join(character if character in "\r\n" else mask for character in text)


_EXAMPLE = "label = \"LABEL\" and pattern = 'EXPRESSION', and ignore_case = true if you like"


class _PatternEntry(RegexPattern):
    label: str

    @field_validator("label")
    @classmethod
    def _check_label(cls, label: str) -> str:
        if not is_label(label):
            raise ValueError(f"{label!r} has white space, braces or backslashes")
        return label


@dataclass(frozen=True)
class CustomPattern:
    """A labelled regular expression; it detects its group `value`, or else its whole match."""

    name: str
    label: str
    expression: regex.Pattern[str]

    def find(
        self, text: str, *, where: str, seconds: float | None = None
    ) -> Iterator[DetectedSpan]:
        """Yield the matches in a text, which error messages call `where`.

        Raises:
            OptionError: matching takes longer than `seconds`.
        """
        for start, end in find_matches(
            self.expression, text, name=self.name, where=where, seconds=seconds
        ):
            yield DetectedSpan(start, end, self.label, source="pattern")


def load_patterns(path: Path) -> list[CustomPattern]:
    """Read patterns from a TOML file: a table with `label` and `pattern` for each.

    Raises:
        OptionError: the file cannot be read, or an entry is invalid.
    """
    entries = read_regex_patterns(path, _PatternEntry, option="--patterns", example=_EXAMPLE)
    return [CustomPattern(name, entry.label, entry.compile()) for name, entry in entries.items()]


def find_patterns(
    patterns: Sequence[CustomPattern], text: str, *, where: str
) -> list[DetectedSpan]:
    """Return the matches of all patterns in a text."""
    return [span for pattern in patterns for span in pattern.find(text, where=where)]
