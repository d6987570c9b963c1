"""Serialization of a trained model as a folder.

model/
├── config.json          settings, task, data fingerprints, checksums of the other files
├── weights.safetensors  weights; tied weights are stored once
├── source.json          vocabularies in the format of the tokenizers library
├── target.json
├── labels.json
├── tagging.json         instead of these three for a tagger: labels, lexicons and patterns
├── encoder/             pre-trained encoder of a tagger, tuned (see `encoder_folder`)
├── calibration.json     calibration statistics of a tagger, if the validation spans suffice
├── history.json         training history
└── card.md              model card
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.data.folder_files import MEBIBYTE, describe_unsafe_file
from annoseq.errors import (
    EncoderError,
    ModelError,
    OptionError,
    count_noun,
    describe_older_format,
    describe_validation_error,
)
from annoseq.evaluation.calibration_statistics import CalibrationStatistics
from annoseq.models.build import build_seq2seq, build_tagger, no_init_weights
from annoseq.models.encoder_folder import build_encoder_of_model
from annoseq.models.model_config import (
    CALIBRATION_FILE,
    CARD_FILE,
    CONFIG_FILE,
    ENCODER_FILES,
    ENCODER_WEIGHTS,
    ENSEMBLE_FILE,
    FORMAT,
    HISTORY_FILE,
    LANGUAGE_MODEL,
    WEIGHTS_FILE,
    ModelConfig,
    TrainingHistory,
)
from annoseq.models.weights_file import load_weights, write_weights
from annoseq.output_lock import restore_interrupted
from annoseq.tokenization.seq2seq_tokenizer import FILES, VOCABULARY_BYTES, Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TAGGING_FILE, TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.tagger import Tagger
    from annoseq.vectors.lookup import TokenVectors


_MAX_BYTES: dict[str, int | None] = {
    WEIGHTS_FILE: None,
    **dict.fromkeys((CONFIG_FILE, CALIBRATION_FILE, HISTORY_FILE, CARD_FILE), 16 * MEBIBYTE),
    **VOCABULARY_BYTES,
    TAGGING_FILE: 1024 * MEBIBYTE,
    **dict.fromkeys(ENCODER_FILES, 256 * MEBIBYTE),
    ENCODER_WEIGHTS: None,
}
"""Size in bytes that no file but the weights exceeds."""

FileModel = TypeVar("FileModel", bound=BaseModel)


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A network, its tokenizer, and its configuration.

    A `Tagger` has a `TaggerTokenizer`, all other networks a `Seq2SeqTokenizer`. `calibration` are
    the calibration statistics of a tagger, if its scores were compared with enough gold spans.
    """

    network: AnySeq2SeqNetwork | Tagger
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer
    config: ModelConfig
    calibration: CalibrationStatistics | None = None
    history: TrainingHistory | None = None

    def __repr__(self) -> str:
        config, epochs = self.config, count_noun(self.config.epochs, "epoch")
        return f"<TrainedModel: {config.network.model}, {config.task}, {epochs}>"

    @property
    def fingerprint(self) -> str:
        """Checksum of the weights, empty for a model that was never saved."""
        files = self.config.files
        own, encoder = files.get(WEIGHTS_FILE, ""), files.get(ENCODER_WEIGHTS)
        return hashlib.sha256((own + encoder).encode()).hexdigest() if encoder else own

    def save(self, folder: str | Path, *, card: str, overwrite: bool = False) -> None:
        """Write the model folder.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        with atomic_folder(Path(folder), overwrite=overwrite) as temporary:
            write_weights(self.network, temporary)
            self.tokenizer.save(temporary)
            (temporary / CARD_FILE).write_text(card, encoding="utf-8")
            names = [WEIGHTS_FILE, *_tokenizer_files(self.config)]
            for name, content in self._optional_files().items():
                (temporary / name).write_text(content, encoding="utf-8")
                names.append(name)
            files = {name: _checksum(temporary / name) for name in names}
            config = self.config.model_copy(update={"files": files})
            (temporary / CONFIG_FILE).write_text(config.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, *, vectors: str | Path | None = None) -> TrainedModel:
        """Read a model folder.

        `vectors` is the word-vector file that a tagger was trained with, if it has been moved.

        Raises:
            ModelError: a file is missing or damaged, or has another format.
            EncoderError: the pre-trained encoder needs transformers, or cannot be read.
            VectorsError: the word-vector file cannot be read, or is not that of training.
            OptionError: `vectors` was given, and the model reads none.
        """
        folder = Path(folder)
        restore_interrupted(folder)
        config = read_config(folder)
        for name, checksum in config.files.items():
            if _checksum(folder / name) != checksum:
                raise ModelError(
                    f"{folder}: {name} is not the file that was saved with this model. "
                    "Copy the whole folder again, or train again."
                )
        token_vectors = _open_vectors(folder, config, vectors)
        try:
            with no_init_weights():
                network, tokenizer = _build(folder, config, token_vectors)
            load_weights(network, folder)
        except EncoderError:  # it says itself what is wrong
            raise
        except (ValueError, SafetensorError) as error:
            raise ModelError(f"{folder}: damaged: {error}. Train again.") from error
        except (RuntimeError, MemoryError) as error:  # torch lists every tensor on its own line
            raise ModelError(
                f"{folder}: damaged: {WEIGHTS_FILE} is not of the network that {CONFIG_FILE} "
                "describes. Train again."
            ) from error
        calibration = _read_optional(folder, config, CALIBRATION_FILE, CalibrationStatistics)
        history = _read_optional(folder, config, HISTORY_FILE, TrainingHistory)
        return cls(network, tokenizer, config, calibration, history)

    def _optional_files(self) -> dict[str, str]:
        files = {CALIBRATION_FILE: self.calibration, HISTORY_FILE: self.history}
        return {name: file.model_dump_json() for name, file in files.items() if file is not None}


def _tokenizer_files(config: ModelConfig) -> tuple[str, ...]:
    """Return the files, other than the weights, that a model of a kind always has."""
    if config.network.model != "tagger":
        return FILES
    return (TAGGING_FILE, *(ENCODER_FILES if config.encoder is not None else ()))


def _open_vectors(
    folder: Path, config: ModelConfig, given: str | Path | None
) -> TokenVectors | None:
    if config.vectors is not None:
        return config.vectors.open(given, model=folder)
    if given is not None:
        raise OptionError(
            f"{folder}: this model needs no file of word vectors: it was trained without, or has "
            "taken them into its weights. Leave --vectors off."
        )
    return None


def _build(
    folder: Path, config: ModelConfig, vectors: TokenVectors | None
) -> tuple[Tagger, TaggerTokenizer] | tuple[AnySeq2SeqNetwork, Seq2SeqTokenizer]:
    """Build the network of a folder, whose weights are not loaded yet, and its tokenizer."""
    stats = config.length_stats
    if config.network.model == "tagger":
        settings = config.network.tagger
        tagger_tokenizer = TaggerTokenizer.load(
            folder, length_stats=stats, buckets=settings.buckets, vectors=vectors
        )
        record = config.encoder
        pretrained = None if record is None else build_encoder_of_model(folder, record)
        network = build_tagger(settings, tagger_tokenizer, seed=0, pretrained=pretrained)
        return network, tagger_tokenizer
    tokenizer = Seq2SeqTokenizer.load(folder, task=config.task, length_stats=stats)
    return build_seq2seq(config.network, tokenizer, seed=0), tokenizer


def check_weights_differ(names: Sequence[str], fingerprints: Sequence[str]) -> None:
    """Check that no two models have the same weights; those never saved have no fingerprint.

    Raises:
        OptionError: two have.
    """
    for place, fingerprint in enumerate(fingerprints):
        first = fingerprints.index(fingerprint)
        if fingerprint and first < place:
            raise OptionError(
                f"{names[place]} has the same weights as {names[first]}. Name each model once."
            )


def read_config(folder: Path) -> ModelConfig:
    """Read `config.json` of a model folder.

    Raises:
        ModelError: it is missing or damaged, or of another format, or the folder of an ensemble.
    """
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: there is no such folder. Give the folder that `annoseq train --out` wrote."
        )
    if problem := describe_unsafe_file(folder, _MAX_BYTES):
        raise ModelError(f"{folder}: {problem}. Copy the whole folder again, or train again.")
    if (folder / ENSEMBLE_FILE).exists():
        raise ModelError(
            f"{folder} is an ensemble, and one model is needed. Give one of its members, or a "
            "model that learned from it: annoseq train --teacher."
        )
    content = _read(folder / CONFIG_FILE)
    if older := describe_older_format(content, current=FORMAT):
        raise ModelError(f"{folder}: {older}. Train again, or use the version that wrote it.")
    if _kind(content) == LANGUAGE_MODEL:
        raise ModelError(
            f"{folder} is a language model, with whose weights a tagger begins (annoseq train "
            "--language-model), and no model yet. Give a folder that `annoseq train --out` wrote."
        )
    try:
        config = ModelConfig.model_validate_json(content)
    except ValidationError as error:
        reason = describe_validation_error(error)
        raise ModelError(
            f"{folder}: {CONFIG_FILE} is damaged or of another version ({reason}); "
            f"this is annoseq {__version__}. Use the version that wrote it, or train again."
        ) from error
    if unknown := len(set(config.files) - _MAX_BYTES.keys()):
        raise ModelError(
            f"{folder}: {CONFIG_FILE} is damaged: it lists "
            f"{count_noun(unknown, 'file')} that no model folder has. "
            "Copy the whole folder again, or train again."
        )
    if missing := {WEIGHTS_FILE, *_tokenizer_files(config)} - set(config.files):
        raise ModelError(f"{folder}: {CONFIG_FILE} does not list {sorted(missing)}. Train again.")
    return config


def _kind(content: bytes) -> object:
    """Return the kind that a configuration names, if it is JSON and names one."""
    try:
        record = json.loads(content)
    except ValueError:
        return None
    return record.get("kind") if isinstance(record, dict) else None


def _read_optional(
    folder: Path, config: ModelConfig, name: str, model: type[FileModel]
) -> FileModel | None:
    """Read a JSON file that the folder may have.

    Raises:
        ModelError: the file cannot be read, or its content is invalid.
    """
    if name not in config.files:
        return None
    try:
        return model.model_validate_json(_read(folder / name))
    except ValidationError as error:
        reason = describe_validation_error(error)
        raise ModelError(
            f"{folder}: {name} is damaged or of another version ({reason}). "
            "Use the version that wrote it, or train again."
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path.parent}: {path.name} cannot be read: {error.strerror}. "
            "Is this a folder that `annoseq train --out` wrote?"
        ) from error


def _checksum(path: Path) -> str:
    return hashlib.sha256(_read(path)).hexdigest()
