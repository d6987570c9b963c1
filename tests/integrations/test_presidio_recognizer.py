from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.integrations.presidio_recognizer import AnnoseqRecognizer, map_labels
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Dr. Ames, 31y 👍🏽 Zoë"


def analyzer(registry: RecognizerRegistry) -> AnalyzerEngine:
    """Return an engine that needs no pipeline of spaCy."""
    nlp_engine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    return AnalyzerEngine(registry=registry, nlp_engine=nlp_engine, supported_languages=["en"])


def registry_from(config: dict[str, Any], folder: Path) -> RecognizerRegistry:
    entry = {"name": "Our notes", "class_name": "AnnoseqRecognizer", "type": "predefined", **config}
    file = folder / "recognizers.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"supported_languages": ["en"], "recognizers": [entry]}))
    return RecognizerRegistryProvider(conf_file=file).create_recognizer_registry()


def as_tuples(results: list[RecognizerResult]) -> set[tuple[int, int, str]]:
    return {(result.start, result.end, result.entity_type) for result in results}


def test_the_analyzer_returns_the_spans_of_the_model_as_presidio_s_entities(
    flat_model: Path,
) -> None:
    annotator = Annotator.load(flat_model)
    registry = RecognizerRegistry(recognizers=[AnnoseqRecognizer(annotator)])
    results = analyzer(registry).analyze(TEXT, language="en", return_decision_process=True)
    names = {"NAME": "PERSON", "AGE": "AGE"}
    spans = annotator.annotate(TEXT).spans or ()
    assert as_tuples(results) == {(s.start, s.end, names[s.label]) for s in spans}
    scores = {(span.start, span.end): span.score for span in spans}
    for result in results:
        assert result.score == pytest.approx(scores[result.start, result.end])
        label = result.recognition_metadata[AnnoseqRecognizer.LABEL_KEY]
        assert names[label] == result.entity_type
        explanation = result.analysis_explanation
        assert explanation.recognizer == "AnnoseqRecognizer"
        assert f"Marked as {label} by annoseq's tagger-" in explanation.textual_explanation
        assert "calibrated probability " in explanation.textual_explanation
        assert "Ames" not in explanation.textual_explanation


def test_only_the_entities_that_are_asked_for_are_returned(flat_model: Path) -> None:
    recognizer = AnnoseqRecognizer(flat_model)
    assert recognizer.get_supported_entities() == ["AGE", "PERSON"]
    everything = recognizer.analyze(TEXT, [])
    for entity in ("AGE", "PERSON"):
        found = recognizer.analyze(TEXT, [entity])
        assert found == [result for result in everything if result.entity_type == entity]
    assert recognizer.analyze(TEXT, ["CREDIT_CARD"]) == []
    assert recognizer.analyze("", []) == []


def test_a_registry_reads_it_from_yaml(flat_model: Path, tmp_path: Path) -> None:
    config = {"model": str(flat_model), "label_mapping": {"NAME": "STAFF"}, "target_recall": 0.9}
    registry = registry_from(config, tmp_path)
    recognizer: Any = next(iter(registry.recognizers))
    assert recognizer.name == "Our notes"
    assert recognizer.supported_entities == ["AGE", "STAFF"]
    assert recognizer.to_dict()["version"].startswith("tagger-")
    results = analyzer(registry).analyze(TEXT, language="en")
    assert {result.entity_type for result in results} <= {"AGE", "STAFF"}
    assert len(results) > 2


def test_yaml_chooses_entities_and_refuses_fields_that_there_are_not(
    flat_model: Path, tmp_path: Path
) -> None:
    config = {"model": str(flat_model), "supported_entities": ["PERSON"]}
    (recognizer,) = registry_from(config, tmp_path).recognizers
    assert recognizer.supported_entities == ["PERSON"]
    with pytest.raises(ValueError, match="Invalid recognizer registry") as caught:
        registry_from({"model": str(flat_model), "lable_mapping": {}}, tmp_path)
    assert "lable_mapping" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="Invalid recognizer registry"):
        registry_from({}, tmp_path)


def test_nested_spans_and_spans_of_models_that_write_are_returned() -> None:
    results = AnnoseqRecognizer(random_annotator("nested tagger")).analyze(TEXT, [])
    assert any(a.contains(b) for a in results for b in results if a is not b)
    assert "not calibrated" in results[0].analysis_explanation.textual_explanation
    (writer, *_) = AnnoseqRecognizer(random_annotator("flat")).analyze(TEXT * 3, [])
    assert 0 < writer.score < 1
    assert "by annoseq's gru-" in writer.analysis_explanation.textual_explanation


@pytest.mark.parametrize(
    ("label", "entity"),
    [
        ("NAME:NURSE", "PERSON"),
        ("NOMBRE_SUJETO_ASISTENCIA", "PERSON"),
        ("FECHAS", "DATE_TIME"),
        ("ID:SSN", "US_SSN"),
        ("SOCIAL_SECURITY_NUMBER", "US_SSN"),
        ("MEDICALRECORD", "ID"),
        ("LOCATION:STREET", "LOCATION"),
        ("HOSPITAL", "ORGANIZATION"),
        ("PHONE_NUMBER", "PHONE_NUMBER"),
        ("SEXO_SUJETO_ASISTENCIA", "SEXO_SUJETO_ASISTENCIA"),
        ("Chemical", "Chemical"),
    ],
)
def test_labels_are_mapped_by_their_phi_types(label: str, entity: str) -> None:
    assert map_labels([label]) == {label: entity}
    assert map_labels([label], {label: "OTHER"}) == {label: "OTHER"}


def test_labels_and_entities_that_the_model_does_not_have_are_refused(flat_model: Path) -> None:
    with pytest.raises(OptionError, match=r"label_mapping: the model has no label DATE. It has"):
        AnnoseqRecognizer(flat_model, label_mapping={"DATE": "DATE_TIME"})
    with pytest.raises(OptionError, match=r"marks none of these. It marks AGE, PERSON"):
        AnnoseqRecognizer(flat_model, supported_entities=["CREDIT_CARD"])
