"""Requests and responses of the service, of which its OpenAPI description is made."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from annoseq.config import SearchConfig
from annoseq.config.section import Fraction, Probability
from annoseq.data.text_inputs import WellFormedText
from annoseq.deid.policy import ShiftUnit
from annoseq.deid.surrogates import SurrogateStrategy

_MAX_OUTPUTS = 64
"""Largest beam and number of samples of a request: their memory is that of so many texts."""

Identifier = Annotated[WellFormedText, Field(min_length=1, max_length=200)]
ModelName = Annotated[str | None, Field(description="Name of the model; by default the first.")]


class AnnotateOptions(SearchConfig):
    """Options of an annotation, as `annoseq annotate` has them; all but the targets are for
    sequence-to-sequence models."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    target_recall: Fraction | None = None
    """Share of the spans to find, such as 0.98: a tagger then marks less likely ones too, which
    costs precision."""
    target_coverage: Fraction | None = None
    """Share of the identifiers to cover, such as 0.99: a tagger then marks every token that may lie
    in one, whatever its label and edges."""
    beam_size: Annotated[PositiveInt, Field(le=_MAX_OUTPUTS)] = 5
    """Hypotheses in the beam."""
    samples: Annotated[PositiveInt, Field(le=_MAX_OUTPUTS)] = 1
    """Outputs to sample for each text."""

    def search_config(self) -> SearchConfig:
        """Return the options of the search that were given."""
        given = self.model_dump(exclude_unset=True, include=set(SearchConfig.model_fields))
        return SearchConfig.model_validate(given)


class RedactOptions(BaseModel):
    """Options of a redaction, as `annoseq redact` has them. Those that the server was started with
    are fixed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        validate_by_name=True,
    )

    style: Annotated[Literal["label", "mask", "surrogate"] | None, Field(alias="with")] = None
    """The same for all: label ([NAME:DOCTOR], the default), mask (same length), or surrogate (made
    up, same kind)."""
    policy: Literal["safe-harbor", "limited-data-set"] | None = None
    """Action for each type of PHI."""
    shift_by: ShiftUnit | None = None
    """Shift dates by days (the default), or by whole weeks: weekdays stay."""
    locale: Annotated[str | None, Field(max_length=20)] = None
    """Locale that surrogates come from, such as en_US, es_ES, de_DE."""
    surrogates: SurrogateStrategy | None = None
    """consistent: same value, same surrogate (the default); random: a new one for each
    occurrence."""
    scope: Literal["document", "corpus"] | None = None
    """Scope in which a value has one surrogate: document (the default), or corpus: everywhere, by
    the key of the server."""
    min_score: Probability | None = None
    """Leave alone what the model is less sure of."""
    propagate: bool | None = None
    """Find everywhere in a document what was found once (the default)."""
    target_recall: Fraction | None = None
    """Share of the spans to find."""
    target_coverage: Fraction | None = None
    """Share of the identifiers to cover; by default 0.99, where the model's calibration allows
    it."""
    best_path: bool = False
    """Replace the likeliest spans only."""

    def targets(self) -> dict[str, float]:
        """Return the targets that are given, by their options of the command line."""
        targets = {
            "--target-recall": self.target_recall,
            "--target-coverage": self.target_coverage,
        }
        return {name: value for name, value in targets.items() if value is not None}

    def replacements(self) -> dict[str, Any]:
        """Return the options of replacements that are given, by the names of their fields."""
        values = self.model_dump(exclude_none=True)
        for name in ("target_recall", "target_coverage", "best_path", "model"):
            values.pop(name, None)
        return values


class AnnotateStreamOptions(AnnotateOptions):
    """Options of a stream of texts to annotate."""

    model: ModelName = None


class RedactStreamOptions(RedactOptions):
    """Options of a stream of texts to redact."""

    model: ModelName = None


FIELD_NAMES = frozenset({*AnnotateOptions.model_fields, *RedactOptions.model_fields, "with"})
"""Options of the command line that are fields of a request."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: ModelName = None


class AnnotateRequest(_Request):
    """Texts to annotate."""

    texts: list[WellFormedText]
    options: AnnotateOptions = AnnotateOptions()


class RequestDocument(BaseModel):
    """Texts that belong together: a value that is found in one is replaced in all of them, and in
    those of the next documents with the same patient.

    With a key on the server, surrogates follow from the id, or from the patient; without an id they
    are drawn anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: Annotated[list[WellFormedText], Field(min_length=1)]
    id: Identifier | None = None
    patient: Identifier | None = None


class RedactRequest(_Request):
    """Texts to redact, each a document of its own, or documents of several texts."""

    texts: list[WellFormedText] | None = None
    documents: list[RequestDocument] | None = None
    options: RedactOptions = RedactOptions()

    @model_validator(mode="after")
    def _has_texts_or_documents(self) -> Self:
        if (self.texts is None) == (self.documents is None):
            raise ValueError("give either texts or documents")
        return self

    def all_documents(self) -> list[RequestDocument]:
        """Return the documents; a text by itself is one."""
        if self.documents is not None:
            return self.documents
        return [RequestDocument.model_construct(texts=[text]) for text in self.texts or ()]


class AnnotateLine(BaseModel):
    """Line of a stream of texts to annotate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: WellFormedText
    id: Identifier | None = None


class RedactLine(BaseModel):
    """Line of a stream of texts to redact: a text, or a document of several, in all of which a
    value is replaced that is found in one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: WellFormedText | None = None
    texts: Annotated[list[WellFormedText], Field(min_length=1)] | None = None
    id: Identifier | None = None
    patient: Identifier | None = None

    @model_validator(mode="after")
    def _has_text_or_texts(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return self

    def document(self) -> RequestDocument:
        """Return the document."""
        texts = self.texts if self.text is None else [self.text]
        return RequestDocument.model_construct(texts=texts, id=self.id, patient=self.patient)


class SpanObject(BaseModel):
    """Span of a text: `text[start:end]` in code points, end excluded."""

    start: int
    end: int
    label: str
    text: str
    score: float | None


class AlternativeObject(BaseModel):
    """Another output of a search."""

    annotated: str
    spans: list[SpanObject] | None
    score: float
    problem: str | None = None


class AnnotationObject(AlternativeObject):
    """Annotated text, as a line of the JSONL of `annoseq annotate`."""

    id: str
    text: str
    windows: int
    alternatives: list[AlternativeObject] | None = None


class AnnotateResponse(BaseModel):
    """Annotations in the order of the texts, the model that made them, and notes on its target."""

    model: str
    fingerprint: str
    notes: list[str]
    annotations: list[AnnotationObject]


class RedactedSpanObject(SpanObject):
    """Replacement in a redacted text; `by` is model, pattern or propagated."""

    by: Literal["model", "pattern", "propagated"]
    action: str


class RedactionObject(BaseModel):
    """Redacted text, as a line of the annotations of `annoseq redact`."""

    id: str
    document: str
    text: str
    spans: list[RedactedSpanObject]


class RedactResponse(BaseModel):
    """Redacted texts in the order of the request, and notes on what is aimed at."""

    model: str
    fingerprint: str
    notes: list[str]
    texts: list[RedactionObject]


class StatusObject(BaseModel):
    """State of the service."""

    status: Literal["ok", "ending"]


class ModelObject(BaseModel):
    """A model: its labels, the scores of its training, and its card (Markdown)."""

    name: str
    fingerprint: str
    network: str
    task: str
    device: str
    labels: list[str]
    is_calibrated: bool
    epochs: int
    scores: dict[str, float]
    loaded_at: str
    card: str


class ModelSummary(BaseModel):
    """Name of a model, and twelve digits of the checksum of its weights."""

    name: str
    fingerprint: str
