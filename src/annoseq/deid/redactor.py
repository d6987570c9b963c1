"""Redactor: the actions of a policy for detected spans, and for the same values elsewhere."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING

from annoseq.data.markup import trim_range
from annoseq.deid.ages import OLDEST
from annoseq.deid.generalisation import Generaliser
from annoseq.deid.propagation import (
    PropagatedValues,
    count_guarded,
    merge_overlapping,
    propagate,
)
from annoseq.deid.redaction import (
    DetectedSpan,
    DocumentPart,
    RedactedText,
    RedactionDocument,
    Replacement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.deid.phi_types import PhiTypeTable
    from annoseq.deid.policy import Policy
    from annoseq.deid.redaction import Action
    from annoseq.deid.surrogates import DocumentSurrogates, SurrogateGenerator


_MASK_CHARACTERS = "*#█_~=+^°·"


@dataclass(frozen=True)
class Redactor:
    """Redacts documents, each independently of the others, or those of a patient together.

    A policy with surrogates or shifted dates needs `surrogates`. Spans with a score below
    `min_score` stay as they are; spans without a score are replaced. `propagates` replaces detected
    values wherever they occur in the documents that are redacted together.
    """

    table: PhiTypeTable
    policy: Policy
    surrogates: SurrogateGenerator | None = None
    min_score: float = 0.0
    propagates: bool = True
    generaliser: Generaliser = field(default_factory=Generaliser)

    def redact(self, document: RedactionDocument) -> tuple[RedactedText, ...]:
        """Replace the detected spans of a document; return its texts in the order of its parts.

        A span within another is replaced with it, and crossing spans are replaced as one. No
        replacement brings a propagated value back.

        Raises:
            OptionError: a label has no PHI type.
        """
        return self.redact_together([document])[0]

    def redact_together(
        self, documents: Sequence[RedactionDocument]
    ) -> list[tuple[RedactedText, ...]]:
        """Replace the detected spans of documents, and what was found in one in all of them.

        Raises:
            OptionError: a label has no PHI type.
        """
        extended, values = self._propagate(documents)
        return [
            self._replace_all(document, original, values)
            for document, original in zip(extended, documents, strict=True)
        ]

    def _replace_all(
        self, document: RedactionDocument, original: RedactionDocument, values: PropagatedValues
    ) -> tuple[RedactedText, ...]:
        """Write the texts of a document, which was `original` before values were propagated."""
        merged = [merge_overlapping(part.spans) for part in document.parts]
        writer = _ReplacementWriter(
            self, values, self._surrogates(document, merged, values), _unused_mask(document)
        )
        return tuple(
            replace(
                writer.redact_part(part, spans, number=number),
                nested_spans=_count_detected(part.spans) - _count_detected(spans),
                low_scores=sum(map(self._is_below, detected.spans)),
                kept_spans=self._count_kept(detected),
                guarded_words=count_guarded(part, values) if self.propagates else 0,
                kept=part.kept,
            )
            for number, (part, spans, detected) in enumerate(
                zip(document.parts, merged, original.parts, strict=True)
            )
        )

    def find_replaced(self, document: RedactionDocument) -> list[list[DetectedSpan]]:
        """Return the spans of each part that `redact` replaces, in text order without overlap."""
        (extended,), _ = self._propagate([document])
        return [merge_overlapping(part.spans) for part in extended.parts]

    def _propagate(
        self, documents: Sequence[RedactionDocument]
    ) -> tuple[list[RedactionDocument], PropagatedValues]:
        """Drop what stays, and add the occurrences of the detected values, and these values."""
        replaceable = [
            replace(document, parts=tuple(map(self._with_replaceable_spans, document.parts)))
            for document in documents
        ]
        values = PropagatedValues.from_documents(replaceable, self.table)
        if self.propagates:
            replaceable = [propagate(document, values) for document in replaceable]
        return replaceable, values

    def stays(self, label: str, value: str) -> bool:
        """Return True if the policy leaves a value with a label as it is.

        It keeps the label, or generalises it, and the value is general already.
        """
        phi_type = self.table.phi_type(label)
        match self.policy.action(phi_type):
            case "keep":
                return True
            case "generalise":
                return self.generaliser.generalise(phi_type, value) == value
        return False

    def _count_kept(self, part: DocumentPart) -> dict[str, int]:
        kept = (
            span.label
            for span in map(partial(_trim, part.text), part.spans)
            if self.stays(span.label, part.text[span.start : span.end])
        )
        return dict(Counter(kept))

    def _with_replaceable_spans(self, part: DocumentPart) -> DocumentPart:
        """Drop spans that stay or score too low, and white space at the edges of the others."""
        spans = []
        for span in map(partial(_trim, part.text), part.spans):
            value = part.text[span.start : span.end]
            if value.strip() and not (self._is_below(span) or self.stays(span.label, value)):
                spans.append(span)
        return replace(part, spans=tuple(spans))

    def _is_below(self, span: DetectedSpan) -> bool:
        return span.score is not None and span.score < self.min_score

    def _surrogates(
        self,
        document: RedactionDocument,
        merged: Sequence[Sequence[DetectedSpan]],
        values: PropagatedValues,
    ) -> DocumentSurrogates | None:
        if self.surrogates is None:
            return None
        identifiers = [
            (self.table.phi_type(span.label), part.text[span.start : span.end])
            for part, spans in zip(document.parts, merged, strict=True)
            for span in spans
        ]
        return self.surrogates.for_document(document, identifiers, values)


def _trim(text: str, span: DetectedSpan) -> DetectedSpan:
    """Drop the white space at the edges of a span."""
    start, end = trim_range(text, span.start, span.end)
    return replace(span, start=start, end=end)


def _count_detected(spans: Sequence[DetectedSpan]) -> int:
    return sum(span.source != "propagated" for span in spans)


def _unused_mask(document: RedactionDocument) -> str:
    """Choose a character that occurs in none of the detected spans."""
    used = {
        character
        for part in document.parts
        for span in part.spans
        for character in part.text[span.start : span.end]
    }
    candidates = chain(_MASK_CHARACTERS, map(chr, count(0x2580)))
    return next(character for character in candidates if character not in used)


@dataclass(frozen=True)
class _ReplacementWriter:
    """Writes the replacements of one document, none of which reveals one of its values."""

    redactor: Redactor
    values: PropagatedValues
    surrogates: DocumentSurrogates | None
    mask: str

    def redact_part(
        self, part: DocumentPart, spans: Sequence[DetectedSpan], *, number: int
    ) -> RedactedText:
        """Replace the spans of a part, which is number `number` of its document.

        A replacement and the text beside it may form a propagated value: then a mask is written
        instead.
        """
        masked: set[int] = set()
        while True:
            redacted = self._replace_spans(part, spans, number=number, masked=masked)
            leaking = _leaking_replacements(redacted, self.values)
            if leaking <= masked:
                return redacted
            masked |= leaking

    def _replace_spans(
        self, part: DocumentPart, spans: Sequence[DetectedSpan], *, number: int, masked: set[int]
    ) -> RedactedText:
        pieces: list[str] = []
        replacements: list[Replacement] = []
        cursor = length = 0
        for index, span in enumerate(spans):
            length += span.start - cursor
            original = part.text[span.start : span.end]
            place = f"{number}:{span.start}"
            made = self._replacement(
                span, original, place=place, at=length, is_masked=index in masked
            )
            pieces += [part.text[cursor : span.start], made.text]
            replacements.append(made)
            length, cursor = made.end, span.end
        return RedactedText(part.id, "".join([*pieces, part.text[cursor:]]), tuple(replacements))

    def _replacement(
        self, span: DetectedSpan, original: str, *, place: str, at: int, is_masked: bool
    ) -> Replacement:
        phi_type = self.redactor.table.phi_type(span.label)
        policy = self.redactor.policy
        planned = policy.action(phi_type)
        text, action = (None, planned) if is_masked else self._write(span, original, planned, place)
        if text is None:
            text, action = _mask(original, self.mask), "mask"
        return Replacement(
            span,
            at,
            at + len(text),
            original,
            text,
            phi_type,
            planned,
            action,
            is_default=not policy.covers(phi_type),
        )

    def _write(
        self, span: DetectedSpan, original: str, planned: Action, place: str
    ) -> tuple[str | None, Action]:
        """Return the text that replaces a span, None for a mask, and the action that it is from."""
        phi_type = self.redactor.table.phi_type(span.label)
        text = None
        match planned:
            case "remove":
                return "", planned
            case "mask":
                return None, planned
            case "surrogate" | "shift" if self.surrogates:
                text = self.surrogates.surrogate(phi_type, original, place=place)
            case "generalise":
                text = self.redactor.generaliser.generalise(phi_type, original)
                if text is not None and text != OLDEST and self.values.occur_in(text):
                    text = None
        if text is not None:
            return text, planned
        label = f"[{span.label}]"
        return None if self.values.occur_in(label) else label, "label"


def _leaking_replacements(redacted: RedactedText, values: PropagatedValues) -> set[int]:
    """Return the indices of the replacements that overlap with an occurrence of a value."""
    starts = [replacement.start for replacement in redacted.replacements]
    ends = [replacement.end for replacement in redacted.replacements]
    return {
        index
        for occurrence in values.find_all(redacted.text)
        for index in range(
            bisect_right(ends, occurrence.start), bisect_left(starts, occurrence.end)
        )
    }


def _mask(text: str, mask: str) -> str:
    """Mask all characters but line ends, so that the lines stay as they are."""
    return "".join(character if character in "\r\n" else mask for character in text)
