"""Ensembles with models that write: members that fit together, and those that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError
from annoseq.models.ensemble_folder import EnsembleModel, find_writer_problem
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path


def model(name: str) -> TrainedModel:
    return random_annotator(name).model


def test_the_first_tagger_stands_for_an_ensemble() -> None:
    writer, tagger = model("flat"), model("flat tagger")
    ensemble = EnsembleModel.of([writer, tagger], ["one", "two"])
    assert (ensemble.taggers, ensemble.writers) == ([tagger], [writer])
    assert ensemble.config == tagger.config
    assert ensemble.vote_weight == 0
    assert repr(ensemble) == "<EnsembleModel: 1 tagger, 1 writer>"
    assert replace(ensemble, vote_weight=1.0).fingerprint != ensemble.fingerprint


def test_an_ensemble_has_seen_what_any_member_has() -> None:
    tagger, writer = model("flat tagger"), model("flat")
    config = writer.config.model_copy(update={"base_fingerprints": ("one", "two")})
    ensemble = EnsembleModel.of([tagger, replace(writer, config=config)], ["a", "b"])
    assert ensemble.config.base_fingerprints == ("one", "two")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("flat", "flat"), "a: all of these models write their output, and an ensemble needs a"),
        (("nested", "flat tagger"), "a and b do not have the same labels: only one of them knows"),
        (("nested tagger", "nested"), "b and a find nested spans, and the spans of a model that"),
    ],
)
def test_models_that_do_not_fit_together_are_refused(
    members: tuple[str, str], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        EnsembleModel.of([model(name) for name in members], ["a", "b"])


def test_a_writer_of_another_text_has_no_votes() -> None:
    tagger, writer = model("flat tagger").tokenizer, model("flat").tokenizer
    assert isinstance(tagger, TaggerTokenizer)
    assert isinstance(writer, Seq2SeqTokenizer)
    assert find_writer_problem(tagger, writer) is None
    problem = find_writer_problem(tagger, replace(writer, task="translate"))
    assert problem is not None
    assert problem.startswith("do different things: one of them writes another text")


def test_the_weight_of_a_vote_is_saved(tmp_path: Path) -> None:
    sources, members = [], []
    for name in ("flat", "flat tagger"):
        sources.append(tmp_path / name)
        model(name).save(sources[-1], card="")
        members.append(TrainedModel.load(sources[-1]))
    ensemble = replace(EnsembleModel.of(members, ["one", "two"]), vote_weight=1.5)
    ensemble.save(tmp_path / "both", sources=sources, card="")
    again = EnsembleModel.load(tmp_path / "both")
    assert again.vote_weight == 1.5
    assert again.fingerprint == ensemble.fingerprint
