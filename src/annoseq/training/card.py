"""The model card: what a model is and was trained on, for people."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annoseq.models.folder import ModelConfig
    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch


def write_card(config: ModelConfig, dataset: Dataset, validated: Epoch | None) -> str:
    """Write the card as Markdown; `validated` is the epoch whose weights the model has."""
    codec = dataset.codec
    facts = {
        "task": config.task,
        "network": f"{config.network.model}, {config.epochs} epochs",
        "training rows": f"{len(dataset.train):,}",
        "validation rows": f"{len(dataset.valid):,}",
        "labels": ", ".join(codec.labels) or "none",
        "vocabularies": f"{len(codec.source):,} source and {len(codec.target):,} target tokens",
        "spans within a token": f"{dataset.train.misfits} in training, widened to whole tokens",
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
        "The vocabularies (`source.json`, `target.json`) list words of the training texts: treat "
        "this folder as you treat those texts.",
    ]
    if validated is not None:
        scores = (validated.padded_accuracy, validated.token_accuracy, validated.exact_match)
        lines += [
            "",
            f"## Validation after epoch {validated.epoch}",
            "",
            "Measured on the rows kept from training, the decoder fed its own output. Padded "
            "accuracy counts padding, and flatters.",
            "",
            "| padded accuracy | token accuracy | exact match |",
            "|---|---|---|",
            "| " + " | ".join(f"{score:.4f}" for score in scores) + " |",
        ]
    return "\n".join(lines) + "\n"
