"""Model card, and the saving of a calibrated model with its card."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from annoseq._version import __version__
from annoseq.errors import count_noun
from annoseq.inference.network_predictors import build_predictor
from annoseq.tokenization.hash_features import PRIVACY_NOTE
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.calibration_runner import CalibrationRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.devices import ComputeDevice
    from annoseq.evaluation.calibration_statistics import CalibrationStatistics
    from annoseq.models.ensemble_folder import EnsembleModel
    from annoseq.models.model_config import ModelConfig
    from annoseq.models.serialization import TrainedModel
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
    statistics: CalibrationStatistics | None = None,
) -> str:
    """Write the card as Markdown; `validated` is the epoch whose weights the model has.

    `statistics` are the calibration statistics of a tagger, if there were enough spans.
    """
    if isinstance(tokenizer, TaggerTokenizer):
        parts = _describe_tagger(tokenizer, config, statistics)
    else:
        parts = _describe_writer(tokenizer, dataset)
    facts = {
        "task": config.task,
        "network": f"{config.network.model}, {count_noun(config.epochs, 'epoch')}",
        "training rows": f"{len(dataset.train):,}",
        "validation rows": f"{len(dataset.valid):,}",
        "labels": ", ".join(tokenizer.labels) or "none",
        **parts.input_facts,
        "rows left out": str(len(dataset.skipped)),
        "data fingerprint": config.fingerprint,
        "seed": str(config.training.seed),
        "written": datetime.now(UTC).date().isoformat(),
        "versions": f"annoseq {config.annoseq}, torch {version('torch')}, "
        f"Python {platform.python_version()}",
    }
    listed = "\n".join(f"- **{name}**: {value}" for name, value in facts.items())
    sections = ["# Model card", listed, parts.privacy]
    if validated is not None:
        sections += [
            f"## Validation after epoch {validated.epoch}",
            parts.validation,
            _score_table(validated.scores),
        ]
    if parts.scores:
        sections += ["## Scores of spans", parts.scores]
    return "\n\n".join(sections) + "\n"


def write_ensemble_card(model: EnsembleModel, statistics: CalibrationStatistics | None) -> str:
    """Write the card of an ensemble as Markdown."""
    folds = model.folds
    facts = {
        "members": str(len(model.members)),
        "names": ", ".join(model.names),
        "votes": f"{count_noun(len(model.writers), 'writer')}, {model.vote_weight:g} nats a vote"
        if model.writers
        else "none",
        "cross-fitted": "no"
        if folds is None
        else f"each without one of {folds.count} folds of the training documents",
        "labels": ", ".join(model.tokenizer.labels) or "none",
        "data fingerprint": model.config.fingerprint,
        "written": datetime.now(UTC).date().isoformat(),
        "versions": f"annoseq {__version__}, torch {version('torch')}",
    }
    return (
        "\n\n".join(
            [
                "# Ensemble card",
                "\n".join(f"- **{name}**: {value}" for name, value in facts.items()),
                "The scores of the taggers are averaged, and the spans of models that write their "
                "output are votes, before the likeliest spans are sought. The card of each member "
                "is in its own folder, and what it says of privacy holds here too.",
                "## Scores of spans",
                _describe_scores(statistics),
            ]
        )
        + "\n"
    )


class _CardParts(NamedTuple):
    """Parts of a card that depend on the kind of model."""

    input_facts: dict[str, str]
    privacy: str
    validation: str
    scores: str = ""


def _describe_tagger(
    tokenizer: TaggerTokenizer,
    config: ModelConfig,
    statistics: CalibrationStatistics | None,
) -> _CardParts:
    matcher = tokenizer.lexicon_matcher
    features = [f"list {name}" for name in matcher.lists]
    features += [f"pattern {name}" for name in matcher.patterns]
    lists = "The user's own lists are in `tagging.json` as they were given. "
    return _CardParts(
        {
            "levels of nested spans": str(tokenizer.levels),
            "lists and patterns": ", ".join(features) or "none",
            **({"open gazetteers": "; ".join(matcher.sources)} if matcher.sources else {}),
            "word vectors": _describe_vectors(config.vectors),
            "pre-trained encoder": _describe_encoder(config),
            "language model": _describe_language_model(config),
            "teachers": _describe_teachers(config),
        },
        f"{PRIVACY_NOTE} {lists if matcher.lists else ''}Weights can also reveal whether a text "
        "was in the training data: share the folder with care.",
        "Measured on the rows kept from training: a span counts with its offsets and label.",
        _describe_scores(statistics),
    )


def _describe_writer(tokenizer: Seq2SeqTokenizer, dataset: Dataset) -> _CardParts:
    target = count_noun(len(tokenizer.target), "target token")
    train = dataset.encoded_train
    return _CardParts(
        {
            "vocabularies": f"{len(tokenizer.source):,} source and {target}",
            "spans within a token": f"{train.misaligned} in training, widened to whole tokens, but "
            f"for {train.dropped} left out, whose tokens are of other spans, and {train.blank} of "
            "white space alone",
        },
        "The vocabularies (`source.json`, `target.json`) list words of the training texts: treat "
        "this folder as you treat those texts.",
        "Measured on the rows kept from training, the decoder fed its own output. Padded accuracy "
        "counts padding, and flatters.",
    )


def _score_table(scores: Mapping[str, float]) -> str:
    """Render scores as a Markdown table of one row."""
    names = [name.replace("_", " ") for name in scores]
    values = " | ".join(f"{score:.4f}" for score in scores.values())
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n| {values} |"


def _describe_scores(statistics: CalibrationStatistics | None) -> str:
    if statistics is None:
        return (
            "Scores are the network's own: the rows kept from training have too few spans to tell "
            "what they mean. For the same reason `--target-recall` is not there."
        )
    method = statistics.calibration.method
    error = f"{statistics.error_before:.4f}"
    if method != "none":
        error += (
            f" before it and {statistics.error_after:.4f} after it, each half of the documents "
        )
        error += "calibrated on the other"
    return (
        f"Scores are probabilities ({_CALIBRATED[method]}), judged by the "
        f"{count_noun(statistics.candidates.gold, 'span')} of "
        f"{count_noun(statistics.documents, 'document')} kept from training, by which only the "
        f"epoch was chosen. Their expected calibration error is {error}. With `--target-recall` at "
        f"most {statistics.candidates.reachable:.3f} of the spans can be found."
    )


def _describe_vectors(vectors: VectorsRecord | None) -> str:
    if vectors is None:
        return "none"
    return (
        f"{vectors.name}, {vectors.width} wide, sha256 {vectors.fingerprint[:12]} of size and "
        "samples; needed to annotate, and not in this folder"
    )


def _describe_encoder(config: ModelConfig) -> str:
    encoder = config.encoder
    if encoder is None:
        return "none"
    trained = {
        "none": "tuned",
        "embeddings": "tuned but for its word embeddings",
        "encoder": "not tuned",
    }
    return (
        f"{encoder.name}, {encoder.model_type}, {count_noun(encoder.layers, 'layer')} of "
        f"{encoder.width}, {trained[config.training.freeze]}; sha256 of the original weights "
        f"{encoder.fingerprint}; licence: {encoder.license} (`encoder/NOTICE.txt`)"
    )


def _describe_language_model(config: ModelConfig) -> str:
    record = config.language_model
    return "none" if record is None else f"began with the weights of {record.summary()}"


def _describe_teachers(config: ModelConfig) -> str:
    described = []
    for teacher in config.teachers:
        taggers = teacher.members - teacher.writers
        counted = [(taggers, "tagger"), (teacher.writers, "writer")]
        kind = " and ".join(count_noun(number, noun) for number, noun in counted if number)
        if teacher.folds:
            kind += ", each text by the one that was not trained on its document"
        described.append(
            f"{teacher.name} ({kind}; sha256 of the weights {teacher.fingerprint[:12]})"
        )
    return "; ".join(described) or "none"


def save_model(
    model: TrainedModel,
    folder: str | Path,
    dataset: Dataset,
    validated: Epoch | None,
    compute: ComputeDevice,
    *,
    overwrite: bool,
) -> None:
    """Calibrate a model on the validation rows, and write its folder with a model card.

    Raises:
        OutputError: the folder exists already, or cannot be written.
    """
    model = replace(model, calibration=calibrate(model, dataset.valid, compute))
    card = write_card(model.config, model.tokenizer, dataset, validated, model.calibration)
    model.save(folder, card=card, overwrite=overwrite)


def calibrate(
    model: TrainedModel, examples: Sequence[Example], compute: ComputeDevice
) -> CalibrationStatistics | None:
    """Return calibration statistics of held-out rows; None if the rows or the model have none."""
    predictor = build_predictor(model.network, model.tokenizer, compute)
    return CalibrationRunner(predictor).run(examples)
