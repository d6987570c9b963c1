"""Data types of redaction: documents with detected spans, replacements, redacted texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from annoseq.deid.phi_types import PhiType  # noqa: TC001  # read by pydantic

if TYPE_CHECKING:
    from annoseq.data.markup import Span

DetectionSource = Literal["model", "pattern", "propagated"]
"""Origin of a span: the model, a custom pattern, or the same value elsewhere in the document."""
Action = Literal["remove", "label", "mask", "surrogate", "shift", "generalise", "keep"]
"""Treatment of an identifier: nothing in its place, its label, a mask of the same length, a
surrogate, a shifted date, a less exact value, or the identifier itself."""


@dataclass(frozen=True, slots=True)
class DetectedSpan:
    """An identifier to be replaced: `text[start:end]`, end excluded, in code points."""

    start: int
    end: int
    label: str
    score: float | None = None
    source: DetectionSource = "model"

    @classmethod
    def from_span(cls, span: Span) -> DetectedSpan:
        """Return a span that the model predicted, with its score."""
        return cls(span.start, span.end, span.label, span.score)


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A text of a document: a row of a table, or a whole file.

    `kept` are the columns of the row that are only passed on, `gold` the spans that people marked,
    `patient` is the id of the patient, if it is known.
    """

    id: str
    text: str
    spans: tuple[DetectedSpan, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict)
    gold: tuple[Span, ...] = ()
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class RedactionDocument:
    """Texts that belong together: a value detected in one is replaced in all of them.

    A table row without a document id, or the text of a pipe, is a document of its own whose
    `is_named` is False: its id only tells its place, which texts of other inputs have, too.
    """

    id: str
    parts: tuple[DocumentPart, ...]
    is_named: bool = True

    @property
    def patient(self) -> str | None:
        """Id of the patient, the same in all parts."""
        return self.parts[0].patient if self.parts else None


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replaced span, and its replacement at `[start:end]` of the redacted text.

    `original` is the replaced text. `planned` is the action of the policy's rule for the PHI type,
    or of its default if `is_default`; `action` is what was done: a label or a mask is written where
    nothing else is safe.
    """

    span: DetectedSpan
    start: int
    end: int
    original: str
    text: str
    phi_type: PhiType
    planned: Action
    action: Action
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class RedactedText:
    """A part of a document after redaction, with its replacements in text order.

    `nested_spans` is the number of detected spans that were merged into others, `low_scores` that
    of the spans that were left alone because of their scores. `kept_spans` counts, by label, those
    that the policy keeps. `guarded_words` is the number of words that propagation left alone.
    """

    id: str
    text: str
    replacements: tuple[Replacement, ...]
    nested_spans: int = 0
    low_scores: int = 0
    kept_spans: dict[str, int] = field(default_factory=dict)
    guarded_words: int = 0
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentLeaks:
    """Counts of a document's gold identifiers and their characters, and of what was missed.

    `missed` identifiers are by label. `lost_tokens` are those of the `other_tokens`, which are in
    no identifier, that were replaced; their words are counted only if that is asked for.
    """

    identifiers: int
    characters: int
    replaced_characters: int
    missed: dict[str, int]
    other_tokens: int = 0
    lost_tokens: int = 0
    lost_words: dict[str, int] = field(default_factory=dict)
    kept_words: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RedactedDocument:
    """The redacted texts of a document, and its leaks if there is a gold standard."""

    id: str
    texts: tuple[RedactedText, ...]
    is_named: bool = True
    leaks: DocumentLeaks | None = None
