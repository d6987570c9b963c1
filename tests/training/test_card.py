from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.training.card import write_card
from annoseq.training.recorder import Epoch, Recorder

if TYPE_CHECKING:
    from annoseq.models.folder import TrainedModel
    from annoseq.text.dataset import Dataset


def test_a_card_states_its_facts(trained: TrainedModel, dataset: Dataset) -> None:
    recorder = Recorder(epochs=[Epoch(1, 2.0, 3.0, 0.91, 0.52, 0.13, 10.0, 1.0)])
    card = write_card(trained.config, dataset, recorder)
    assert card.startswith("# Model card\n\n- **task**: annotate\n- **network**: gru, 2 epochs\n")
    assert f"- **labels**: {', '.join(dataset.codec.labels)}\n" in card
    assert f"- **seed**: {trained.config.training.seed}\n" in card
    assert "treat this folder as you treat those texts" in card
    assert card.endswith("|---|---|---|\n| 0.9100 | 0.5200 | 0.1300 |\n")


def test_without_an_epoch_there_are_no_scores(trained: TrainedModel, dataset: Dataset) -> None:
    assert "Validation after" not in write_card(trained.config, dataset, Recorder())
