"""A trained network as a model folder, with its card and what is known of its scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.models.tagger.tagger import Tagger
from annoseq.text.tag_codec import TagCodec
from annoseq.training.card import write_card
from annoseq.training.trust import Judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.devices import Compute
    from annoseq.evaluation.evidence import Evidence
    from annoseq.models.folder import TrainedModel
    from annoseq.pairs.pair import Pair
    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch


def save_judged(
    model: TrainedModel,
    folder: str | Path,
    dataset: Dataset,
    validated: Epoch | None,
    compute: Compute,
    *,
    overwrite: bool,
) -> None:
    """Judge the scores of a tagger on the validation rows, and write the model folder.

    Raises:
        OutputError: the folder exists already, or cannot be written.
    """
    evidence = judge(model, dataset.valid.pairs, compute)
    card = write_card(model.config, model.codec, dataset, validated, evidence)
    if evidence is not None:
        model = replace(model, calibration=evidence.model_dump_json())
    model.save(folder, card=card, overwrite=overwrite)


def judge(model: TrainedModel, pairs: Sequence[Pair], compute: Compute) -> Evidence | None:
    """Compare the scores of a tagger with the spans of rows kept from training, if they suffice."""
    if not isinstance(model.network, Tagger) or not isinstance(model.codec, TagCodec):
        return None
    return Judge(model.network, model.codec, compute).judge(pairs)
