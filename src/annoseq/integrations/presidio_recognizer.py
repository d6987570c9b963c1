"""Presidio's `EntityRecognizer` of a model, for its registry and its YAML configuration.

The labels of the model are mapped to Presidio's entities by their PHI types: `NAME:DOCTOR` is a
`PERSON`. Labels that are no PHI are entities of their own names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.deid.phi_types import PhiTypeTable
from annoseq.errors import OptionError, display_name
from annoseq.integrations.span_annotator import SpanAnnotator, missing_package

try:
    from presidio_analyzer import AnalysisExplanation, LocalRecognizer, RecognizerResult
    from presidio_analyzer.input_validation.yaml_recognizer_models import (
        CONFIG_MODEL_MAP,
        PredefinedRecognizerConfig,
    )
    from pydantic import ConfigDict
except ModuleNotFoundError as error:
    raise missing_package(error, "Presidio", extra="presidio") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from presidio_analyzer.nlp_engine import NlpArtifacts

    from annoseq.data.markup import Span
    from annoseq.deid.phi_types import PhiType
    from annoseq.inference.annotator import Annotator

_ENTITIES: Mapping[PhiType, str] = {
    "name": "PERSON",
    "username": "USERNAME",
    "email": "EMAIL_ADDRESS",
    "url": "URL",
    "ip": "IP_ADDRESS",
    "phone": "PHONE_NUMBER",
    "id": "ID",
    "street": "LOCATION",
    "city": "LOCATION",
    "zip": "LOCATION",
    "state": "LOCATION",
    "country": "LOCATION",
    "place": "LOCATION",
    "hospital": "ORGANIZATION",
    "organization": "ORGANIZATION",
    "profession": "PROFESSION",
    "date": "DATE_TIME",
    "age": "AGE",
}
"""Entities of Presidio by PHI type; other types keep the label as the entity."""
_TABLE = replace(PhiTypeTable.default(), has_unknown=True)
_EXACT = {"SSN": "US_SSN", "SOCIAL_SECURITY_NUMBER": "US_SSN"}
"""Labels for which Presidio has a more exact entity than that of their PHI type."""


def map_labels(
    labels: Sequence[str], label_mapping: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the entity of each label: that of the mapping, or of its PHI type, or the label.

    >>> map_labels(["NAME:DOCTOR", "DATE", "Chemical"])
    {'NAME:DOCTOR': 'PERSON', 'DATE': 'DATE_TIME', 'Chemical': 'Chemical'}

    Raises:
        OptionError: the mapping has a label that the model does not have.
    """
    given = dict(label_mapping or {})
    if unknown := sorted(set(given) - set(labels)):
        known = ", ".join(display_name(label, kind="label") for label in labels)
        raise OptionError(
            f"label_mapping: the model has no label {display_name(unknown[0], kind='label')}. "
            f"It has {known}."
        )
    return {label: given.get(label) or _entity(label) for label in labels}


def _entity(label: str) -> str:
    names = label.rpartition(":")[2].upper(), label.upper()
    if exact := next((_EXACT[name] for name in names if name in _EXACT), None):
        return exact
    return _ENTITIES.get(_TABLE.phi_type(label), label)


class AnnoseqRecognizer(LocalRecognizer):
    """Recognizer of the entities that a model marks.

    `model` is a model folder, an ONNX file, or an `Annotator`. `supported_entities` chooses some of
    its entities, by default all, and `label_mapping` names the entity of a label. The score of an
    entity is the probability of its span, calibrated if the model is; its explanation has the
    label, and `recognition_metadata` as well. `target_recall` and `target_coverage` mark more, as
    in `Annotator.annotate`.

    Raises:
        ModelError: a file of the model is missing or damaged, or another version wrote it.
        OptionError: the model translates, or has none of the entities or labels that are named.
    """

    LABEL_KEY = "annoseq_label"
    """Key of the label of the model in `recognition_metadata`."""

    def __init__(
        self,
        model: Annotator | str | Path,
        *,
        supported_entities: list[str] | None = None,
        name: str | None = None,
        supported_language: str = "en",
        context: list[str] | None = None,
        label_mapping: Mapping[str, str] | None = None,
        vectors: str | Path | None = None,
        device: str | None = None,
        target_recall: float | None = None,
        target_coverage: float | None = None,
    ) -> None:
        self._model = SpanAnnotator.load(
            model,
            device=device,
            vectors=vectors,
            target_recall=target_recall,
            target_coverage=target_coverage,
        )
        self._title = name or type(self).__name__
        self.label_mapping = map_labels(self._model.labels, label_mapping)
        super().__init__(
            supported_entities=self._choose_entities(supported_entities),
            name=self._title,
            supported_language=supported_language,
            version=self._model.name,
            context=context,
        )

    def _choose_entities(self, asked: list[str] | None) -> list[str]:
        known = sorted(set(self.label_mapping.values()))
        if asked is None:
            return known
        if not set(asked) & set(known):
            raise OptionError(
                f"supported_entities: the model marks none of these. It marks {', '.join(known)}; "
                "label_mapping renames them."
            )
        return [entity for entity in known if entity in asked]

    def load(self) -> None:
        """Do nothing: the model is read before Presidio asks for it."""

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,  # the model has its own tokens
    ) -> list[RecognizerResult]:
        """Return the entities of a text, in code points; of all kinds if `entities` is empty."""
        wanted = set(entities or self.supported_entities) & set(self.supported_entities)
        (spans,) = self._model.spans([text])
        return [self._result(span) for span in spans if self.label_mapping[span.label] in wanted]

    def _result(self, span: Span) -> RecognizerResult:
        score = span.score or 0.0  # every span has one: the model only chooses among tags
        explanation = AnalysisExplanation(
            recognizer=self._title,
            original_score=score,
            textual_explanation=f"Marked as {span.label} by annoseq's {self._model.name}; "
            f"{self._model.scores} {score:.3f}",
        )
        return RecognizerResult(
            entity_type=self.label_mapping[span.label],
            start=span.start,
            end=span.end,
            score=score,
            analysis_explanation=explanation,
            recognition_metadata={
                RecognizerResult.RECOGNIZER_NAME_KEY: self._title,
                RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                self.LABEL_KEY: span.label,
            },
        )


class AnnoseqRecognizerConfig(PredefinedRecognizerConfig):
    """Entry of a recognizer of this kind in a YAML file of recognizers."""

    model_config = ConfigDict(extra="forbid")

    model: str
    label_mapping: dict[str, str] | None = None
    vectors: str | None = None
    device: str | None = None
    target_recall: float | None = None
    target_coverage: float | None = None


# Presidio drops the fields of an entry that it does not know, unless its class has such a model.
CONFIG_MODEL_MAP[AnnoseqRecognizer.__name__] = AnnoseqRecognizerConfig
