"""Test documents, redactors and a fake annotator."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from annoseq.data.markup import parse
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.policy import Policy
from annoseq.deid.propagation import PropagatedValues
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.redactor import Redactor
from annoseq.deid.surrogates import SurrogateGenerator
from annoseq.inference.annotation import Annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.deid.redaction import RedactedText
    from annoseq.deid.surrogates import SurrogateScope, SurrogateStrategy

Style: TypeAlias = Literal["label", "mask", "surrogate"]

KEY = b"a key of sixteen bytes or more"
TABLE = PhiTypeTable.default()
SHORT = {
    "P": "NAME:PATIENT",
    "D": "DATE",
    "A": "AGE",
    "I": "ID:MEDICALRECORD",
    "H": "LOCATION:HOSPITAL",
    "C": "LOCATION:CITY",
}
"""Short labels of the annotated texts in tests."""


def part(annotated: str, name: str = "1") -> DocumentPart:
    """Parse a text whose labels may be short ones, such as `{{P}}Ames{{/P}}`."""
    text, spans = parse(annotated)
    detected = (
        DetectedSpan(span.start, span.end, SHORT.get(span.label, span.label)) for span in spans
    )
    return DocumentPart(name, text, tuple(detected))


def document(*annotated: str, name: str = "note", patient: str | None = None) -> RedactionDocument:
    parts = (part(text, str(row)) for row, text in enumerate(annotated, 1))
    return RedactionDocument(name, tuple(replace(one, patient=patient) for one in parts))


@cache
def locale_faker(locale: str = "en_US") -> LocaleFaker:
    return LocaleFaker(locale)


def redactor(
    style: Style | Policy = "surrogate",
    *,
    locale: str = "en_US",
    table: PhiTypeTable = TABLE,
    scope: SurrogateScope = "document",
    strategy: SurrogateStrategy = "consistent",
    key: bytes = KEY,
    min_score: float = 0.0,
    propagates: bool = True,
) -> Redactor:
    generator = SurrogateGenerator(locale_faker(locale), KeyedRng(key), scope, strategy)
    policy = style if isinstance(style, Policy) else Policy.uniform(style)
    return Redactor(
        table,
        policy,
        generator if policy.has_action("surrogate", "shift") else None,
        min_score=min_score,
        propagates=propagates,
    )


def redacted(style: Style | Policy, *annotated: str) -> str:
    """Redact a document and join its texts."""
    return "|".join(text.text for text in redactor(style).redact(document(*annotated)))


def leaked_values(
    original: RedactionDocument, redacted_texts: Sequence[RedactedText]
) -> list[DetectedSpan]:
    """Return the occurrences of a document's propagated values in its redacted texts."""
    values = PropagatedValues.from_documents([original], TABLE)
    return [span for text in redacted_texts for span in values.find(text.text)]


class LookupAnnotator:
    """Annotates known texts as given; in other texts it annotates nothing."""

    def __init__(self, *annotated: str) -> None:
        self.annotated_texts = {parse(text)[0]: text for text in annotated}
        self.first_numbers: list[int] = []

    def __call__(
        self, texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        self.first_numbers.append(first)
        advance(len(texts))
        outputs = [self.annotated_texts.get(text, text) for text in texts]
        return [
            Annotation(text, output, tuple(parse(output)[1]), score=-1.0)
            for text, output in zip(texts, outputs, strict=True)
        ]
