"""Teachers that are models that write, and models that cannot teach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.models.ensemble_folder import EnsembleModel
from annoseq.models.model_config import TeacherRecord
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.linearize import align_to_tokens
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.teachers import Piece, Teacher, ask_teachers
from tests.fidelity import hard_texts, random_annotator
from tests.onnx_files import write_tiny_file
from tests.training.test_held_out import SETTINGS, dataset_of

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.soft_targets import RowTargets

COMPUTE = ComputeDevice.select("cpu")
TEXTS = [text for text in hard_texts(16, seed="teachers") if text]


def ask(*members: TrainedModel | EnsembleModel, pieces: list[Piece]) -> list[RowTargets]:
    """Let one teacher read pieces for a flat tagger."""
    record = TeacherRecord(name="teacher", fingerprint="none")
    teacher = Teacher(record, members, None, knows_pairs=True)
    return ask_teachers(pieces, [teacher], pupil(), COMPUTE, 1.0)


def pupil() -> TaggerTokenizer:
    tokenizer = random_annotator("flat tagger").tokenizer
    assert isinstance(tokenizer, TaggerTokenizer)
    return tokenizer


def test_a_writer_is_sure_of_the_tags_of_its_spans() -> None:
    annotator, tokenizer = random_annotator("flat"), pupil()
    labels = {label: number for number, label in enumerate(tokenizer.labels)}
    targets = ask(annotator.model, pieces=[Piece(text) for text in TEXTS])
    annotated = annotator.annotate(TEXTS, advance=lambda _: None)
    found = 0
    for text, one, row in zip(TEXTS, annotated, targets, strict=True):
        tokens = tokenizer.tokenize(text)
        aligned, *_ = align_to_tokens(text, tokens.offsets, one.spans or ())
        path = spans_to_bioes(aligned, tokens=len(tokens.tokens), levels=1, labels=labels)
        assert row.places.tolist() == [[place, tag] for place, (tag,) in enumerate(path)]
        assert np.all(row.probabilities == 1)
        assert row.confidence == 1
        found += len(aligned)
    assert found > 10


def test_an_ensemble_with_a_writer_teaches_as_one() -> None:
    ensemble = EnsembleModel.of(
        [random_annotator("flat").model, random_annotator("flat tagger").model], ["one", "two"]
    )
    pieces = [Piece(text) for text in TEXTS[:5]]
    unweighted = ask(ensemble, pieces=pieces)
    alone = ask(random_annotator("flat tagger").model, pieces=pieces)
    for one, other in zip(unweighted, alone, strict=True):
        assert one.places.tolist() == other.places.tolist()
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-2)


def test_an_onnx_file_cannot_teach(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_tiny_file(path)
    dataset = dataset_of(8)
    tokenizer = SETTINGS.make(dataset).tokenizer
    assert isinstance(tokenizer, TaggerTokenizer)
    with pytest.raises(OptionError, match="an ONNX file knows no probabilities of transitions"):
        Teacher.load(path, dataset, tokenizer)
