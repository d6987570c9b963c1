from __future__ import annotations

import shutil
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.ty import ListenedToComponent

from annoseq.errors import ModelError, OptionError
from annoseq.inference.annotator import Annotator
from annoseq.integrations.spacy_pipe import SpacyAnnotator, make_spacy_annotator
from tests.calibrated import calibrated_model

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["Dr. Ames, 31y", "Zoë\t{} 👍🏽 \u0301", "", " ", "Dr Ames31yo and  Zoe"]


def pipeline(model: Path, **options: Any) -> Any:
    nlp = spacy.blank("en")
    nlp.add_pipe("annoseq", config={"model": str(model), **options})
    return nlp


def exact(doc: Any) -> list[tuple[int, int, str, float]]:
    return [(e["start"], e["end"], e["label"], e["score"]) for e in doc._.annoseq_spans]


def as_tuples(spans: Any) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label_) for span in spans]


def test_spacy_finds_the_component_by_its_entry_point() -> None:
    (found,) = (e for e in entry_points(group="spacy_factories") if e.name == "annoseq")
    assert found.load() is make_spacy_annotator


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_documents_have_the_spans_of_the_annotator_to_the_character(
    flat_model: Path, batch_size: int
) -> None:
    annotations = Annotator.load(flat_model).annotate(TEXTS)
    docs = list(pipeline(flat_model).pipe(TEXTS, batch_size=batch_size))
    assert [doc.text for doc in docs] == TEXTS
    for doc, annotation in zip(docs, annotations, strict=True):
        spans = annotation.spans or ()
        assert [e[:3] for e in exact(doc)] == [(s.start, s.end, s.label) for s in spans]
        assert [e[3] for e in exact(doc)] == pytest.approx([s.score for s in spans])
    assert sum(len(doc.ents) for doc in docs) > 8


def test_a_span_within_a_token_is_widened_counted_and_kept(flat_model: Path) -> None:
    doc = pipeline(flat_model)("Dr Ames31yo")
    assert [token.text for token in doc] == ["Dr", "Ames31yo"]
    inner = [e for e in doc._.annoseq_spans if e["start"] >= 3]
    assert [(e["start"], e["end"]) for e in inner] == [(3, 7), (7, 9), (9, 11)]
    assert doc._.annoseq_misaligned == len(inner) == 3
    (widened,) = (span for span in doc.spans["annoseq"] if span.start == 1)
    assert widened.text == "Ames31yo"
    assert widened._.annoseq_score == max(e["score"] for e in inner)
    assert as_tuples(doc.ents) == [(0, 1, "AGE"), (1, 2, "AGE")]


def test_scores_are_probabilities_and_other_spans_have_none(flat_model: Path) -> None:
    doc = pipeline(flat_model)(TEXTS[0])
    assert all(0 < ent._.annoseq_score < 1 for ent in doc.ents)
    assert Span(doc, 0, 2, label="NAME")._.annoseq_score is None
    assert Span(doc, 0, 1, label="OTHER")._.annoseq_score is None


def test_nested_spans_go_to_the_span_group_alone(nested_model: Path) -> None:
    doc = pipeline(nested_model)(TEXTS[0])
    assert not doc.ents
    assert any(
        a.start <= b.start and b.end <= a.end
        for a in doc.spans["annoseq"]
        for b in doc.spans["annoseq"]
        if a is not b
    )


def test_entities_of_a_nested_model_are_its_longest_spans_if_asked_for(nested_model: Path) -> None:
    doc = pipeline(nested_model, annotate_ents=True, spans_key="phi")(TEXTS[0])
    assert as_tuples(doc.ents) == as_tuples(spacy.util.filter_spans(doc.spans["phi"]))
    assert len(doc.ents) < len(doc.spans["phi"])
    assert all(ent._.annoseq_score is not None for ent in doc.ents)


@pytest.mark.parametrize("overwrite", [True, False])
def test_entities_of_earlier_components_are_replaced_or_kept(
    flat_model: Path, overwrite: bool
) -> None:
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "DRUG", "pattern": "Ames"}])
    nlp.add_pipe("annoseq", config={"model": str(flat_model), "overwrite": overwrite})
    doc = nlp(TEXTS[0])
    assert ("Ames", "DRUG" if not overwrite else "NAME") in [(e.text, e.label_) for e in doc.ents]
    assert "Ames" in [span.text for span in doc.spans["annoseq"] if span.label_ == "NAME"]


def test_two_components_keep_what_each_found(flat_model: Path, nested_model: Path) -> None:
    nlp = pipeline(flat_model)
    config = {"model": str(nested_model), "spans_key": "other"}
    nlp.add_pipe("annoseq", name="other", config=config)
    doc = nlp(TEXTS[0])
    assert {e["component"] for e in doc._.annoseq_spans} == {"annoseq", "other"}
    assert {*doc.spans} == {"annoseq", "other"}
    assert nlp.get_pipe("annoseq")(doc)._.annoseq_spans == doc._.annoseq_spans


def test_a_component_is_told_from_those_that_listen_without_its_model(tmp_path: Path) -> None:
    component = SpacyAnnotator(tmp_path / "none")
    # spaCy looks for the attributes of its own components, `model` among them.
    assert not isinstance(component, ListenedToComponent)
    assert not hasattr(component, "model")


def test_a_saved_pipeline_has_its_own_copy_of_the_model(flat_model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(flat_model, moved)
    nlp = pipeline(moved)
    docs = list(nlp.pipe(TEXTS))
    for _ in range(2):  # the second time over the first
        nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(moved)
    loaded = spacy.load(tmp_path / "pipeline")
    assert [exact(doc) for doc in loaded.pipe(TEXTS)] == [exact(doc) for doc in docs]
    loaded.to_disk(tmp_path / "pipeline")  # over the folder that it was read from
    again = spacy.load(tmp_path / "pipeline")
    assert [exact(doc) for doc in again.pipe(TEXTS)] == [exact(doc) for doc in docs]
    names = {path.suffix for path in (tmp_path / "pipeline" / "annoseq").rglob("*")}
    assert names <= {"", ".json", ".safetensors", ".md"}


def test_a_saved_pipeline_refuses_another_model(
    flat_model: Path, nested_model: Path, tmp_path: Path
) -> None:
    pipeline(flat_model).to_disk(tmp_path / "pipeline")
    model = tmp_path / "pipeline" / "annoseq" / "model"
    shutil.rmtree(model)
    shutil.copytree(nested_model, model)
    with pytest.raises(ModelError, match=r"checksum of this model is not the one .* saved with"):
        spacy.load(tmp_path / "pipeline")
    (model.parent / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config.json: damaged: .* Save the pipeline again"):
        spacy.load(tmp_path / "pipeline")
    (model.parent / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config.json"):
        spacy.load(tmp_path / "pipeline")


def test_bytes_hold_the_path_and_the_checksum_of_the_model(
    flat_model: Path, nested_model: Path
) -> None:
    nlp = pipeline(flat_model)
    data = nlp.to_bytes()
    other = pipeline(nested_model).from_bytes(data)
    assert exact(other(TEXTS[0])) == exact(nlp(TEXTS[0]))
    component = nlp.get_pipe("annoseq")
    changed = component.to_bytes().replace(str(flat_model).encode(), str(nested_model).encode())
    with pytest.raises(ModelError, match="checksum"):
        component.from_bytes(changed)
    with pytest.raises(ModelError, match=r"the bytes of the component: damaged"):
        component.from_bytes(b"x")


def test_documents_can_be_stored_with_their_exact_spans(flat_model: Path) -> None:
    docs = list(pipeline(flat_model).pipe(TEXTS))
    data = DocBin(docs=docs, store_user_data=True).to_bytes()
    stored = DocBin().from_bytes(data).get_docs(docs[0].vocab)
    for doc, read in zip(docs, stored, strict=True):
        assert read._.annoseq_spans == doc._.annoseq_spans
        assert [ent._.annoseq_score for ent in read.ents] == [e._.annoseq_score for e in doc.ents]


def test_documents_of_other_tokenizers_and_the_labels(flat_model: Path) -> None:
    nlp = pipeline(flat_model)
    assert nlp.pipe_labels["annoseq"] == ["AGE", "NAME"]
    doc = nlp.get_pipe("annoseq")(Doc(nlp.vocab, words=["Dr.", "Ames"], spaces=[True, False]))
    assert all(doc.text[e["start"] : e["end"]] in doc.text for e in doc._.annoseq_spans)


def test_a_target_marks_more(flat_model: Path, tmp_path: Path) -> None:
    calibrated_model(is_cautious=True).save(tmp_path / "cautious", card="")
    few = pipeline(tmp_path / "cautious")(TEXTS[0])
    many = pipeline(tmp_path / "cautious", target_recall=0.99)(TEXTS[0])
    assert len(few._.annoseq_spans) < len(many._.annoseq_spans)
    with pytest.raises(OptionError, match="a recall of 2 was asked for"):
        pipeline(flat_model, target_recall=2.0)


def test_a_missing_model_is_named_when_it_is_used(tmp_path: Path) -> None:
    nlp = pipeline(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"nowhere: there is no such folder"):
        nlp("Dr. Ames")
    seen: list[Any] = []
    nlp.set_error_handler(lambda name, _, docs, error: seen.append((name, len(docs), error)))
    assert list(nlp.pipe(TEXTS)) == []
    ((name, number, error),) = seen
    assert (name, number) == ("annoseq", len(TEXTS))
    assert isinstance(error, ModelError)


def test_spans_must_go_somewhere(flat_model: Path) -> None:
    with pytest.raises(OptionError, match="the spans would go nowhere"):
        pipeline(flat_model, spans_key=None, annotate_ents=False)
    doc = pipeline(flat_model, spans_key=None)(TEXTS[0])
    assert doc.ents
    assert not doc.spans
