from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import TrainingConfig
from annoseq.errors import TrainingError
from annoseq.inference.annotator import Annotator
from annoseq.training.learner import Learner
from annoseq.training.parameter_groups import parameter_groups
from tests.encoders import FAMILIES, encoder_folder
from tests.tiny import same_weights
from tests.training.test_objectives import BATCHING, NAMES, TINY_TAGGER, notes, of, scores, silent

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return of(notes(NAMES[:12]), notes(NAMES[12:]))


def learner_of(dataset: Dataset, family: str = "bert", **training: Any) -> Learner:
    return Learner(
        dataset,
        model=TINY_TAGGER,
        training=TrainingConfig(**{"max_lr": 3e-2, "encoder_lr": 1e-2, **training}),
        batching=BATCHING,
        encoder=encoder_folder(family),
    )


def groups_of(learner: Learner, lr: float = 0.5) -> list[dict[str, Any]]:
    return parameter_groups(learner._trainer.objective, learner.config, lr)


def names_of(learner: Learner, group: dict[str, Any]) -> set[str]:
    ids = {id(weight) for weight in group["params"]}
    return {name for name, one in learner.network.named_parameters() if id(one) in ids}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_trained_weight_is_in_one_group(dataset: Dataset, family: str) -> None:
    learner = learner_of(dataset, family, freeze="none")
    grouped = [id(weight) for group in groups_of(learner) for weight in group["params"]]
    assert sorted(grouped) == sorted(map(id, learner.network.parameters()))


@pytest.mark.parametrize("family", FAMILIES)
def test_rates_fall_from_the_last_layer_to_the_embeddings(dataset: Dataset, family: str) -> None:
    learner = learner_of(dataset, family, freeze="none", layer_decay=0.5)
    base, more, *layers = groups_of(learner)
    assert base["lr"] == more["lr"] == 0.5
    assert "pretrained.missing" in names_of(learner, more)
    rates = {name: group["lr"] for group in layers for name in names_of(learner, group)}
    assert set(rates.values()) == {1e-2, 0.5e-2, 0.25e-2}
    for name, rate in rates.items():
        layer = next((part for part in name.split(".") if part.isdigit()), None)
        if layer is not None:
            assert rate == {"1": 1e-2, "0": 0.5e-2}[layer]
        elif "word_embeddings" in name or "tok_embeddings" in name:
            assert rate == 0.25e-2


def test_frozen_weights_are_in_no_group(dataset: Dataset) -> None:
    learner = learner_of(dataset, freeze="embeddings")
    names = set().union(*(names_of(learner, group) for group in groups_of(learner)))
    assert "pretrained.network.embeddings.word_embeddings.weight" not in names
    assert "pretrained.network.embeddings.position_embeddings.weight" in names
    assert len(groups_of(learner_of(dataset, freeze="encoder"))) == 2


def test_vectors_are_not_decayed(dataset: Dataset) -> None:
    for group in groups_of(learner_of(dataset, freeze="none")):
        is_decayed = group.get("weight_decay") != 0.0
        assert {weight.ndim > 1 for weight in group["params"]} == {is_decayed}


def test_the_schedule_has_a_peak_for_each_group(dataset: Dataset) -> None:
    learner = learner_of(dataset, layer_decay=0.5, warmup=0.5)
    rates: list[list[float]] = []
    step = learner._trainer.step

    def spy(rows: list[int], optimizer: torch.optim.Optimizer, *rest: Any, **named: Any) -> Any:
        rates.append([group["lr"] for group in optimizer.param_groups])
        return step(rows, optimizer, *rest, **named)

    learner._trainer.step = spy  # type: ignore[method-assign]
    learner.fit_one_cycle(4, report=silent)
    peaks = list(map(max, zip(*rates, strict=True)))
    assert peaks[:2] == pytest.approx([3e-2, 3e-2])
    assert sorted(set(peaks[2:])) == pytest.approx([0.25e-2, 0.5e-2, 1e-2])
    assert rates.index(max(rates)) == pytest.approx(len(rates) / 2, abs=1)


def test_a_tagger_learns_with_an_encoder_and_repeats_itself(
    dataset: Dataset, tmp_path: Path
) -> None:
    learners = [learner_of(dataset, "roberta") for _ in range(2)]
    for learner in learners:
        learner.fit_one_cycle(6, report=silent)
    assert same_weights(learners[0].network, learners[1].network)
    first, *_, last = learners[0].recorder.epochs
    assert last.valid_loss < first.valid_loss
    assert last.score > 0.6
    learners[0].save(tmp_path / "model")
    annotator = Annotator.load(tmp_path / "model")
    texts = [example.source for example in dataset.valid]
    found = annotator.annotate(texts, advance=lambda _: None)
    predicted = [one.output for one in learners[0].predictions()]
    assert [one.annotated for one in found] == predicted


@pytest.mark.parametrize("freeze", ["encoder", "embeddings"])
def test_what_is_frozen_stays(dataset: Dataset, freeze: str) -> None:
    learner = learner_of(dataset, freeze=freeze, keep="last")
    before = {name: one.clone() for name, one in learner.network.state_dict().items()}
    learner.fit_one_cycle(1, report=silent)
    same = {
        name
        for name, one in learner.network.state_dict().items()
        if torch.equal(one, before[name]) and name.startswith("pretrained.network.")
    }
    words = "pretrained.network.embeddings.word_embeddings.weight"
    assert words in same
    assert (len(same) > 10) == (freeze == "encoder")


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    dataset: Dataset, tmp_path: Path
) -> None:
    class Stopped(Exception):  # noqa: N818
        pass

    def stop(_: object) -> None:
        raise Stopped

    whole = learner_of(dataset)
    whole.fit_one_cycle(2, report=silent)
    path = tmp_path / "m.training"
    with pytest.raises(Stopped):
        learner_of(dataset).fit_one_cycle(2, checkpoint=path, report=silent, after_epoch=stop)
    resumed = learner_of(dataset)
    resumed.fit_one_cycle(2, checkpoint=path, resume=True, report=silent)
    assert same_weights(whole.network, resumed.network)
    assert scores(whole) == scores(resumed)
    other = learner_of(dataset, "mpnet")
    with pytest.raises(TrainingError, match="was begun with encoder "):
        other.fit_one_cycle(2, checkpoint=path, resume=True, report=silent)


def test_a_model_goes_on_with_its_encoder(dataset: Dataset, tmp_path: Path) -> None:
    learner = learner_of(dataset)
    learner.fit_one_cycle(1, report=silent)
    learner.save(tmp_path / "model")
    more = Learner.load(tmp_path / "model", dataset)
    assert same_weights(learner.network, more.network)
    assert more.encoder == learner.encoder
    more.fit_one_cycle(1, report=silent)
    assert not same_weights(learner.network, more.network)
