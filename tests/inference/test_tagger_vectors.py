"""Annotation by a tagger whose word vectors come from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.inference.annotator import Annotator
from annoseq.models.build import build_tagger
from annoseq.tokenization import hash_features as features
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.vectors.lookup import open_token_vectors
from tests.fidelity import BATCHING, hard_texts, random_annotator, violations
from tests.vectors.crafted import craft

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import BatchConfig
    from annoseq.inference.annotation import Annotation
    from annoseq.models.serialization import TrainedModel

LIKE = "nested tagger"
TEXTS = list(hard_texts(40, seed="vectors"))


@pytest.fixture(scope="module", params=["v.bin", "v.vec"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Return a tagger with random weights that reads a file of vectors."""
    path = tmp_path_factory.mktemp("vectors") / request.param
    if path.suffix == ".bin":
        path.write_bytes(craft(["Ames", "y", "Zoë"], width=4))
    else:
        path.write_text("2 4\nAmes 1 2 3 4\nzoë -1 0 0 1\n", encoding="utf-8")
    plain = random_annotator(LIKE).model
    vectors = open_token_vectors(path)
    assert isinstance(plain.tokenizer, TaggerTokenizer)
    settings = plain.config.network.tagger
    tokenizer = replace(
        plain.tokenizer, feature_hasher=FeatureHasher(buckets=settings.buckets, vectors=vectors)
    )
    network = build_tagger(settings, tokenizer, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in network.parameters():
            weights.normal_(generator=generator)
    config = plain.config.model_copy(update={"vectors": vectors.record()})
    return replace(plain, network=network, tokenizer=tokenizer, config=config)


def annotate(annotator: Annotator, batching: BatchConfig = BATCHING) -> list[Annotation]:
    return annotator.annotate(TEXTS, batching=batching, advance=lambda done: None)


def test_hard_texts_are_kept_and_annotated(model: TrainedModel) -> None:
    found = annotate(Annotator(model))
    for text, one in zip(TEXTS, found, strict=True):
        assert violations(LIKE, text, one) == []
    assert sum(len(one.spans or ()) for one in found) > 20


def test_a_saved_tagger_annotates_the_same(model: TrainedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model", card="")
    loaded = Annotator.load(tmp_path / "model")
    assert annotate(loaded) == annotate(Annotator(model))
    assert loaded.model.config.vectors == model.config.vectors


def test_texts_are_annotated_alike_in_any_company_and_order(
    model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotator = Annotator(model)
    together = [one.annotated for one in annotate(annotator)]
    monkeypatch.setattr(features, "_MAX_TOKENS", 5)
    for _ in range(2):  # in between, all words are forgotten
        alone = [annotator.annotate([text], advance=lambda _: None)[0] for text in TEXTS[:10]]
        assert [one.annotated for one in alone] == together[:10]
    assert [one.annotated for one in annotate(annotator)] == together
