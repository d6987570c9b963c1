"""Documents, texts with spans and redactors to test with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from annoseq.data.markup import parse
from annoseq.deid.faker_values import Inventor
from annoseq.deid.keyed_rng import Secret
from annoseq.deid.phi_types import Table
from annoseq.deid.redaction import Document, Find, Part
from annoseq.deid.redactor import Redactor
from annoseq.deid.surrogates import SurrogateMaker
from annoseq.inference.annotation import Annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.deid.redaction import Style

KEY = b"a key of sixteen bytes or more"
TABLE = Table.default()
SHORT = {
    "P": "NAME:PATIENT",
    "D": "DATE",
    "A": "AGE",
    "I": "ID:MEDICALRECORD",
    "H": "LOCATION:HOSPITAL",
    "C": "LOCATION:CITY",
}
"""Labels of the annotated texts below, so that those stay readable."""


def part(annotated: str, name: str = "1") -> Part:
    """Read `{{P}}Ames{{/P}}`."""
    text, spans = parse(annotated)
    found = (Find(one.start, one.end, SHORT.get(one.label, one.label)) for one in spans)
    return Part(name, text, tuple(found))


def document(*annotated: str, name: str = "note") -> Document:
    return Document(name, tuple(part(text, str(row)) for row, text in enumerate(annotated, 1)))


@cache
def inventor(locale: str = "en_US") -> Inventor:
    return Inventor(locale)


def redactor(
    style: Style = "surrogate",
    *,
    locale: str = "en_US",
    table: Table = TABLE,
    consistent: bool = False,
    key: bytes = KEY,
    min_score: float = 0.0,
    propagates: bool = True,
) -> Redactor:
    maker = SurrogateMaker(inventor(locale), Secret(key, consistent))
    return Redactor(
        table,
        style,
        maker if style == "surrogate" else None,
        min_score=min_score,
        propagates=propagates,
    )


def redacted(style: Style, *annotated: str) -> str:
    """Redact a document and join its texts."""
    return "|".join(one.text for one in redactor(style).redact(document(*annotated)))


class MarkingAnnotator:
    """Annotates texts that it knows by their annotated texts, and finds nothing in others."""

    def __init__(self, *annotated: str) -> None:
        self.known = {parse(one)[0]: one for one in annotated}
        self.firsts: list[int] = []

    def __call__(
        self, texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        self.firsts.append(first)
        advance(len(texts))
        found = [self.known.get(text, text) for text in texts]
        return [
            Annotation(text, one, tuple(parse(one)[1]), score=-1.0)
            for text, one in zip(texts, found, strict=True)
        ]
