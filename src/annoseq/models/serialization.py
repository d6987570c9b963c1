"""Serialization of a trained model as a folder.

model/
├── config.json          settings, task, fingerprint of the data, checksums of the files
├── weights.safetensors  tied weights once
├── source.json          vocabularies, as the tokenizers library writes them
├── target.json
├── labels.json
├── tagging.json         in place of these three, of a tagger: labels, lists and patterns
├── calibration.json     of a tagger, if it was validated on spans enough: what its scores mean
├── history.json         how it was trained, in figures
└── card.md              what the model is, for people
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_model, save_file

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.config import BatchConfig, DataConfig, NetworkConfig, Task, TrainingConfig
from annoseq.errors import (
    ModelError,
    OptionError,
    describe_older_format,
    describe_validation_error,
)
from annoseq.models.build import build_seq2seq, build_tagger, no_init_weights
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.seq2seq_tokenizer import FILES, Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TAGGING_FILE, TaggerTokenizer
from annoseq.vectors.lookup import VectorsRecord

if TYPE_CHECKING:
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.tagger import Tagger
    from annoseq.vectors.lookup import TokenVectors


Kind = TypeVar("Kind", bound=BaseModel)


def read_json_file(kind: type[Kind], content: str, *, name: str) -> Kind:
    """Read what a file of a model folder holds; `name` is the file's.

    Raises:
        ModelError: the content is not of this version.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(
            f"{name} is damaged or of another version ({describe_validation_error(error)}). "
            "Use the version that wrote it, or train again."
        ) from error


HISTORY_FILE = "history.json"


class EpochRecord(BaseModel):
    """An epoch: its number, its losses, and its scores on the validation rows by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epoch: int
    train_loss: float
    valid_loss: float
    scores: dict[str, float]


class TrainingHistory(BaseModel):
    """All epochs, and loss and learning rate over the steps.

    Many steps are thinned out: each of `losses` and `rates` is the mean of as many neighbours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: tuple[EpochRecord, ...]
    steps: int
    losses: tuple[float, ...]
    rates: tuple[float, ...]

    @classmethod
    def read(cls, content: str) -> TrainingHistory:
        """Read what a model folder holds.

        Raises:
            ModelError: the content is not of this version.
        """
        return read_json_file(cls, content, name=HISTORY_FILE)


CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "weights.safetensors", "card.md"
CALIBRATION_FILE = "calibration.json"


FORMAT: Literal[2] = 2
"""Raised when a folder written by an older version can no longer be read."""


class ModelConfig(BaseModel):
    """All that is known of a model besides its weights and vocabularies.

    `fingerprint` is that of the pairs before their split, `valid_fingerprint` that of those kept
    for validation; `epochs` counts all that it was trained; `vectors` is the file of word vectors
    that a tagger reads, which is not in the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = FORMAT
    annoseq: str = __version__
    task: Task
    length_stats: LengthStats
    fingerprint: str
    valid_fingerprint: str = ""
    data: DataConfig
    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig
    epochs: int
    vectors: VectorsRecord | None = None
    files: dict[str, str] = {}


@dataclass(frozen=True)
class TrainedModel:
    """A network, the codec that it was trained with, and its configuration.

    A `TaggerTokenizer` goes with a `Tagger`, a `Seq2SeqTokenizer` with all others. `calibration` is what an
    `Evidence` was written as, where the scores of a tagger were compared with gold spans, and
    `history` what a `TrainingHistory` was.
    """

    network: AnySeq2SeqNetwork | Tagger
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer
    config: ModelConfig
    calibration: str | None = None
    history: str | None = None

    def save(self, folder: str | Path, *, card: str, overwrite: bool = False) -> None:
        """Write the model folder.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        with atomic_folder(Path(folder), overwrite=overwrite) as new:
            _write_weights(self.network, new / WEIGHTS_FILE)
            self.tokenizer.save(new)
            (new / CARD_FILE).write_text(card, encoding="utf-8")
            names = [WEIGHTS_FILE, *_codec_files(self.config)]
            for name, content in self._records().items():
                (new / name).write_text(content, encoding="utf-8")
                names.append(name)
            files = {name: _checksum(new / name) for name in names}
            config = self.config.model_copy(update={"files": files})
            (new / CONFIG_FILE).write_text(config.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, *, vectors: str | Path | None = None) -> TrainedModel:
        """Read a model folder.

        `vectors` is the file of word vectors that a tagger was trained with, if it is no longer
        where it was.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
            VectorsError: the file of word vectors cannot be read, or is another one.
            OptionError: `vectors` was given, and the model reads none.
        """
        folder = Path(folder)
        config = _read_config(folder)
        for name, checksum in config.files.items():
            if _checksum(folder / name) != checksum:
                raise ModelError(
                    f"{folder}: {name} is not the file that was saved with this model. "
                    "Copy the whole folder again, or train again."
                )
        opened = _open_vectors(folder, config, vectors)
        try:
            with no_init_weights():
                network, tokenizer = _fresh(folder, config, opened)
            load_model(network, folder / WEIGHTS_FILE)
        except (ValueError, SafetensorError) as error:
            raise ModelError(f"{folder}: damaged: {error}. Train again.") from error
        except RuntimeError as error:  # torch names every tensor, on a line each
            raise ModelError(
                f"{folder}: damaged: {WEIGHTS_FILE} is not of the network that {CONFIG_FILE} "
                "describes. Train again."
            ) from error
        records = (_record(folder, config, name) for name in (CALIBRATION_FILE, HISTORY_FILE))
        return cls(network, tokenizer, config, *records)

    def _records(self) -> dict[str, str]:
        """Return what was measured of the model, by file, as far as it was."""
        records = {CALIBRATION_FILE: self.calibration, HISTORY_FILE: self.history}
        return {name: content for name, content in records.items() if content is not None}


def _record(folder: Path, config: ModelConfig, name: str) -> str | None:
    return _read(folder / name).decode("utf-8", "replace") if name in config.files else None


def _codec_files(config: ModelConfig) -> tuple[str, ...]:
    return (TAGGING_FILE,) if config.network.model == "tagger" else FILES


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


def _fresh(
    folder: Path, config: ModelConfig, vectors: TokenVectors | None
) -> tuple[Tagger, TaggerTokenizer] | tuple[AnySeq2SeqNetwork, Seq2SeqTokenizer]:
    """Build the network that a folder describes, with weights still to come."""
    if config.network.model == "tagger":
        settings = config.network.tagger
        tags = TaggerTokenizer.load(
            folder, length_stats=config.length_stats, buckets=settings.buckets, vectors=vectors
        )
        return build_tagger(settings, tags, seed=0), tags
    tokenizer = Seq2SeqTokenizer.load(folder, task=config.task, length_stats=config.length_stats)
    return build_seq2seq(config.network, tokenizer, seed=0), tokenizer


def _write_weights(network: AnySeq2SeqNetwork | Tagger, path: Path) -> None:
    # save_model would write down which names share a tensor, in an order that changes.
    unique = {name for name, _ in network.named_parameters()}
    unique |= {name for name, _ in network.named_buffers()}
    weights = {name: one for name, one in network.state_dict().items() if name in unique}
    try:
        save_file({name: one.contiguous() for name, one in weights.items()}, path)
    except SafetensorError as error:  # what a full disk is to safetensors
        raise OSError(str(error)) from error


def _read_config(folder: Path) -> ModelConfig:
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: there is no such folder. Give the folder that `annoseq train --out` wrote."
        )
    try:
        content = _read(folder / CONFIG_FILE)
        if older := describe_older_format(content, current=FORMAT):
            raise ModelError(f"{folder}: {older}. Train again, or use the version that wrote it.")
        config = ModelConfig.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(
            f"{folder}: {CONFIG_FILE} is damaged or of another version ({describe_validation_error(error)}); "
            f"this is annoseq {__version__}. Use the version that wrote it, or train again."
        ) from error
    if missing := {WEIGHTS_FILE, *_codec_files(config)} - set(config.files):
        raise ModelError(f"{folder}: {CONFIG_FILE} does not list {sorted(missing)}. Train again.")
    return config


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
