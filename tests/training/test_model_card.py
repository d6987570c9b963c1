from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import AttentionConfig, NetworkConfig
from annoseq.evaluation.calibration import Calibration
from annoseq.training.model_card import write_card
from annoseq.training.recorder import Epoch
from tests.calibrated import calibrated_model

if TYPE_CHECKING:
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset

SCORES = {"padded_accuracy": 0.91, "token_accuracy": 0.52, "exact_match": 0.13}


def test_a_card_states_its_facts(trained: TrainedModel, dataset: Dataset) -> None:
    epoch = Epoch(7, 2.0, 3.0, SCORES, "token_accuracy", 10.0, 1.0)
    card = write_card(trained.config, dataset.tokenizer, dataset, epoch)
    assert card.startswith("# Model card\n\n- **task**: annotate\n- **network**: gru, 2 epochs\n")
    assert f"- **labels**: {', '.join(dataset.tokenizer.labels)}\n" in card
    assert f"- **seed**: {trained.config.training.seed}\n" in card
    assert "treat this folder as you treat those texts" in card
    assert "\n\n## Validation after epoch 7\n\n" in card
    assert card.endswith("|---|---|---|\n| 0.9100 | 0.5200 | 0.1300 |\n")


def test_it_names_the_network(trained: TrainedModel, dataset: Dataset) -> None:
    network = NetworkConfig.of(AttentionConfig())
    config = trained.config.model_copy(update={"network": network})
    assert "- **network**: attention, 2 epochs\n" in write_card(
        config, dataset.tokenizer, dataset, None
    )


def test_without_an_epoch_there_are_no_scores(trained: TrainedModel, dataset: Dataset) -> None:
    assert "Validation after" not in write_card(trained.config, dataset.tokenizer, dataset, None)


def test_the_card_of_a_tagger_tells_what_its_scores_mean(dataset: Dataset) -> None:
    trained = calibrated_model()
    assert trained.calibration is not None
    statistics = trained.calibration
    card = write_card(trained.config, trained.tokenizer, dataset, None, statistics)
    assert (
        "Scores are probabilities (calibrated by isotonic regression), judged by the 120 spans of "
        "80 documents kept from training, by which only the epoch was chosen. Their expected "
        f"calibration error is {statistics.error_before:.4f} before it and "
        f"{statistics.error_after:.4f} after it, each half of the documents calibrated on the "
        "other. With `--target-recall` at most 1.000 of the spans can be found.\n"
    ) in card
    untouched = statistics.model_copy(
        update={"calibration": Calibration(method="none", spans=120), "error_before": 0.0123}
    )
    assert (
        "Scores are probabilities (as the network gives them: no calibration made them better), "
        "judged by the 120 spans of 80 documents kept from training, by which only the epoch was "
        "chosen. Their expected calibration error is 0.0123. With"
    ) in write_card(trained.config, trained.tokenizer, dataset, None, untouched)
    assert (
        "Scores are the network's own: the rows kept from training have too few spans to tell what "
        "they mean. For the same reason `--target-recall` is not there.\n"
    ) in write_card(trained.config, trained.tokenizer, dataset, None)
