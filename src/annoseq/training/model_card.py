"""Model card, and the saving of a calibrated model with its card."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from annoseq.models.tagger import Tagger
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.calibration_runner import CalibrationRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.devices import ComputeDevice
    from annoseq.evaluation.recall_thresholds import CalibrationStatistics
    from annoseq.models.serialization import ModelConfig, TrainedModel
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.training.recorder import Epoch
    from annoseq.vectors.lookup import VectorsRecord


_CALIBRATED = {
    "none": "as the network gives them: no calibration made them better",
    "temperature": "calibrated by a temperature",
    "isotonic": "calibrated by isotonic regression",
}


def write_card(
    config: ModelConfig,
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer,
    dataset: Dataset,
    validated: Epoch | None,
    evidence: CalibrationStatistics | None = None,
) -> str:
    """Write the card as Markdown; `validated` is the epoch whose weights the model has.

    `evidence` is what is known of a tagger's scores, if there were spans enough to know it.
    """
    facts = {
        "task": config.task,
        "network": f"{config.network.model}, {config.epochs} epochs",
        "training rows": f"{len(dataset.train):,}",
        "validation rows": f"{len(dataset.valid):,}",
        "labels": ", ".join(tokenizer.labels) or "none",
        **_reading(tokenizer, dataset, config.vectors),
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
        _privacy(tokenizer),
    ]
    if validated is not None:
        names = [name.replace("_", " ") for name in validated.scores]
        lines += [
            "",
            f"## Validation after epoch {validated.epoch}",
            "",
            _measured(tokenizer),
            "",
            f"| {' | '.join(names)} |",
            "|---" * len(names) + "|",
            "| " + " | ".join(f"{score:.4f}" for score in validated.scores.values()) + " |",
        ]
    if isinstance(tokenizer, TaggerTokenizer):
        lines += ["", "## Scores of spans", "", _trust(evidence)]
    return "\n".join(lines) + "\n"


def _trust(evidence: CalibrationStatistics | None) -> str:
    if evidence is None:
        return (
            "Scores are the network's own: the rows kept from training have too few spans to tell "
            "what they mean. For the same reason `--target-recall` is not there."
        )
    method = evidence.calibration.method
    error = f"{evidence.error_before:.4f}"
    if method != "none":
        error += f" before it and {evidence.error_after:.4f} after it, each half of the documents "
        error += "calibrated on the other"
    return (
        f"Scores are probabilities ({_CALIBRATED[method]}), judged by the {evidence.gold:,} spans "
        f"of {evidence.documents:,} documents kept from training, by which only the epoch was "
        f"chosen. Their expected calibration error is {error}. With `--target-recall` at most "
        f"{evidence.reachable:.3f} of the spans can be found."
    )


def _reading(
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer, dataset: Dataset, vectors: VectorsRecord | None
) -> dict[str, str]:
    if isinstance(tokenizer, TaggerTokenizer):
        lexicon_features = [f"list {name}" for name in tokenizer.lexicon_matcher.lists]
        lexicon_features += [f"pattern {name}" for name in tokenizer.lexicon_matcher.patterns]
        return {
            "levels of nested spans": str(tokenizer.levels),
            "lists and patterns": ", ".join(lexicon_features) or "none",
            "word vectors": _described(vectors),
        }
    return {
        "vocabularies": f"{len(tokenizer.source):,} source and {len(tokenizer.target):,} target tokens",
        "spans within a token": f"{dataset.encoded_train.misaligned} in training, widened to whole tokens",
    }


def _described(vectors: VectorsRecord | None) -> str:
    if vectors is None:
        return "none"
    return (
        f"{vectors.name}, {vectors.width} wide, sha256 {vectors.fingerprint[:12]} of size and "
        "samples; needed to annotate, and not in this folder"
    )


def _privacy(tokenizer: Seq2SeqTokenizer | TaggerTokenizer) -> str:
    if isinstance(tokenizer, TaggerTokenizer):
        lists = (
            "The user's own lists are in `tagging.json` as they were given. "
            if tokenizer.lexicon_matcher.lists
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


def _measured(tokenizer: Seq2SeqTokenizer | TaggerTokenizer) -> str:
    if isinstance(tokenizer, TaggerTokenizer):
        return "Measured on the rows kept from training: a span counts with its offsets and label."
    return (
        "Measured on the rows kept from training, the decoder fed its own output. Padded accuracy "
        "counts padding, and flatters."
    )


def save_model(
    model: TrainedModel,
    folder: str | Path,
    dataset: Dataset,
    validated: Epoch | None,
    compute: ComputeDevice,
    *,
    overwrite: bool,
) -> None:
    """Judge the scores of a tagger on the validation rows, and write the model folder.

    Raises:
        OutputError: the folder exists already, or cannot be written.
    """
    evidence = calibrate(model, dataset.valid, compute)
    card = write_card(model.config, model.tokenizer, dataset, validated, evidence)
    if evidence is not None:
        model = replace(model, calibration=evidence.model_dump_json())
    model.save(folder, card=card, overwrite=overwrite)


def calibrate(
    model: TrainedModel, pairs: Sequence[Example], compute: ComputeDevice
) -> CalibrationStatistics | None:
    """Compare the scores of a tagger with the spans of rows kept from training, if they suffice."""
    if not isinstance(model.network, Tagger) or not isinstance(model.tokenizer, TaggerTokenizer):
        return None
    return CalibrationRunner(model.network, model.tokenizer, compute).judge(pairs)
