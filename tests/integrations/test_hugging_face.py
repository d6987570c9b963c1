from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.integrations.hugging_face import AnnotationPipeline
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = ["Dr. Ames, 31y", "", "Zoë\t{} 👍🏽 \u0301", "Dr Ames31yo and  Zoe"]


@pytest.fixture(scope="module")
def ours(flat_model: Path) -> AnnotationPipeline:
    return AnnotationPipeline(flat_model)


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A pipeline of transformers with random weights, aggregated."""
    from transformers import AutoTokenizer, BertConfig, BertForTokenClassification
    from transformers import TokenClassificationPipeline as Pipeline

    folder = encoder_folder("bert")
    config = BertConfig.from_pretrained(folder, num_labels=3, id2label={0: "O", 1: "B-X", 2: "I-X"})
    network = BertForTokenClassification(config).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return Pipeline(model=network, tokenizer=tokenizer, aggregation_strategy="simple", device="cpu",
                    ignore_labels=[])  # fmt: skip


@pytest.mark.e2e
def test_the_keys_are_those_of_a_pipeline_of_transformers(
    ours: AnnotationPipeline, theirs: Any
) -> None:
    text = "Dr. Ames, 31y"
    expected, found = theirs(text), ours(text)
    assert isinstance(expected, list)
    assert isinstance(found, list)
    assert set(found[0]) == set(expected[0])
    for key, value in expected[0].items():
        kind = type(found[0][key])  # type: ignore[literal-required]
        assert issubclass(kind, type(value)) or (key == "score" and kind is float)
    assert [len(theirs([text, text])), len(ours([text, text]))] == [2, 2]
    assert [type(theirs([text])[0]), type(ours([text])[0])] == [list, list]
    assert not isinstance(theirs(iter_texts([text])), list)


def iter_texts(texts: list[str]) -> Iterator[str]:
    yield from texts


def test_entities_are_the_spans_of_the_annotator(
    ours: AnnotationPipeline, flat_model: Path
) -> None:
    annotations = Annotator.load(flat_model).annotate(TEXTS)
    for text, entities, annotation in zip(TEXTS, ours(TEXTS), annotations, strict=True):
        assert [(e["start"], e["end"], e["entity_group"]) for e in entities] == [
            (span.start, span.end, span.label) for span in annotation.spans or ()
        ]
        assert [e["word"] for e in entities] == [text[e["start"] : e["end"]] for e in entities]
        assert all(0 < e["score"] < 1 for e in entities)


def test_a_generator_is_read_a_batch_at_a_time(ours: AnnotationPipeline) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS * 2:
            read.append(text)
            yield text

    results = ours(texts(), batch_size=3)
    assert read == []
    next(results)
    assert len(read) == 3
    rest = [[entity["word"] for entity in entities] for entities in results]
    expected = [[entity["word"] for entity in entities] for entities in ours(TEXTS * 2)]
    assert rest == expected[1:]
    assert list(ours([])) == []
    assert ours("") == []


def test_a_column_of_a_dataset_is_taken(ours: AnnotationPipeline) -> None:
    import datasets

    column = datasets.Dataset.from_dict({"text": TEXTS})["text"]
    assert [len(entities) for entities in ours(column)] == [len(e) for e in ours(TEXTS)]


def test_what_is_no_text_is_refused(ours: AnnotationPipeline, flat_model: Path) -> None:
    with pytest.raises(OptionError, match=r"cannot annotate a int\. Give a text, a list"):
        ours(5)  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="cannot annotate element 1"):
        ours(["a", None])  # type: ignore[list-item]
    with pytest.raises(OptionError, match="batch_size: found 0"):
        ours("a", batch_size=0)
    with pytest.raises(OptionError, match="those of the annotator that was given"):
        AnnotationPipeline(Annotator.load(flat_model), device="cpu")
    assert repr(ours).startswith("<AnnotationPipeline: tagger-")
