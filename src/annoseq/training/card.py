"""The model card: what a model is and was trained on, for people."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from annoseq.text.tag_codec import TagCodec

if TYPE_CHECKING:
    from annoseq.models.folder import ModelConfig
    from annoseq.text.codec import Codec
    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch


def write_card(
    config: ModelConfig, codec: Codec | TagCodec, dataset: Dataset, validated: Epoch | None
) -> str:
    """Write the card as Markdown; `validated` is the epoch whose weights the model has."""
    facts = {
        "task": config.task,
        "network": f"{config.network.model}, {config.epochs} epochs",
        "training rows": f"{len(dataset.train):,}",
        "validation rows": f"{len(dataset.valid):,}",
        "labels": ", ".join(codec.labels) or "none",
        **_reading(codec, dataset),
        "rows left out": str(len(dataset.skipped)),
        "data fingerprint": config.fingerprint,
        "seed": str(config.training.seed),
        "written": datetime.now(UTC).date().isoformat(),
        "versions": f"annoseq {config.annoseq}, torch {version('torch')}, "
        f"Python {platform.python_version()}",
    }
    lines = [
        "# Model card",
        "",
        *(f"- **{name}**: {value}" for name, value in facts.items()),
        "",
        _privacy(codec),
    ]
    if validated is not None:
        names = [name.replace("_", " ") for name in validated.scores]
        lines += [
            "",
            f"## Validation after epoch {validated.epoch}",
            "",
            _measured(codec),
            "",
            f"| {' | '.join(names)} |",
            "|---" * len(names) + "|",
            "| " + " | ".join(f"{score:.4f}" for score in validated.scores.values()) + " |",
        ]
    return "\n".join(lines) + "\n"


def _reading(codec: Codec | TagCodec, dataset: Dataset) -> dict[str, str]:
    if isinstance(codec, TagCodec):
        hints = [f"list {name}" for name in codec.marker.lists]
        hints += [f"pattern {name}" for name in codec.marker.patterns]
        return {
            "levels of nested spans": str(codec.levels),
            "lists and patterns": ", ".join(hints) or "none",
        }
    return {
        "vocabularies": f"{len(codec.source):,} source and {len(codec.target):,} target tokens",
        "spans within a token": f"{dataset.train.misfits} in training, widened to whole tokens",
    }


def _privacy(codec: Codec | TagCodec) -> str:
    if isinstance(codec, TagCodec):
        lists = (
            "The user's own lists are in `tagging.json` as they were given. "
            if codec.marker.lists
            else ""
        )
        return (
            "No file lists words of the training texts: the tagger reads hashed features. "
            f"{lists}Weights can still tell whether a text was learned from: share the folder "
            "with care."
        )
    return (
        "The vocabularies (`source.json`, `target.json`) list words of the training texts: treat "
        "this folder as you treat those texts."
    )


def _measured(codec: Codec | TagCodec) -> str:
    if isinstance(codec, TagCodec):
        return "Measured on the rows kept from training: a span counts with its offsets and label."
    return (
        "Measured on the rows kept from training, the decoder fed its own output. Padded accuracy "
        "counts padding, and flatters."
    )
