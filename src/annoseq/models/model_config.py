"""Model configuration and training history: the JSON files of a model that need no network.

`ModelConfig` is everything about a model but its weights and vocabularies. Model folders and ONNX
files hold it alike.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from annoseq._version import __version__
from annoseq.config import (
    BatchConfig,
    ColumnsConfig,
    DataConfig,
    NetworkConfig,
    Task,
    TrainingConfig,
)
from annoseq.errors import count_noun
from annoseq.tokenization.length_stats import LengthStats
from annoseq.vectors.lookup import VectorsRecord

CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "weights.safetensors", "card.md"
CALIBRATION_FILE, HISTORY_FILE = "calibration.json", "history.json"
ENSEMBLE_FILE = "ensemble.json"
"""File of the folder of an ensemble, which has no `CONFIG_FILE`."""
FORMAT: Literal[2] = 2
"""Format number of model folders; folders of another format are refused."""
ENCODER_FOLDER = "encoder"
ENCODER_WEIGHTS = f"{ENCODER_FOLDER}/model.safetensors"
ENCODER_FILES = (
    f"{ENCODER_FOLDER}/config.json",
    ENCODER_WEIGHTS,
    f"{ENCODER_FOLDER}/tokenizer.json",
    f"{ENCODER_FOLDER}/NOTICE.txt",
)
"""Files of a tagger's pre-trained encoder, tuned (see `encoder_folder`)."""


LANGUAGE_MODEL: Literal["language model"] = "language model"
"""Kind of a folder of `annoseq pretrain`, in its `CONFIG_FILE`, which names no kind elsewhere."""


class EpochRecord(BaseModel):
    """An epoch: its number, its losses, and its scores on the validation rows by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epoch: int
    train_loss: float
    valid_loss: float
    scores: dict[str, float]


class TrainingHistory(BaseModel):
    """All epochs, and training loss and learning rate over the steps.

    Long histories are downsampled: each value of `losses` and `rates` is then the mean of several
    consecutive steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: tuple[EpochRecord, ...]
    steps: int
    losses: tuple[float, ...]
    rates: tuple[float, ...]


class EncoderRecord(BaseModel):
    """Origin of a pre-trained encoder: name, kind, size, checksum of its weights, and licence.

    `fingerprint` is the SHA-256 of the file of weights that training began with; of several files,
    that of their contents one after the other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    model_type: str
    layers: int
    width: int
    fingerprint: str
    license: str

    def summary(self) -> str:
        """Return name, kind, size and checksum in a line."""
        return (
            f"{self.name} ({self.model_type}, {count_noun(self.layers, 'layer')} of {self.width}, "
            f"sha256 {self.fingerprint[:12]})"
        )


class LanguageModelRecord(BaseModel):
    """Origin of the weights that a tagger began with: name, checksum, and what was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str
    texts: int
    tokens: int

    def summary(self) -> str:
        """Return name, numbers of texts and tokens, and checksum in a line."""
        return (
            f"{self.name} ({count_noun(self.texts, 'text')} of {count_noun(self.tokens, 'token')}, "
            f"sha256 {self.fingerprint[:12]})"
        )


class TeacherRecord(BaseModel):
    """A teacher that a tagger learned from: its name, the checksum of its weights, its folds.

    Of its `members`, `writers` write their output. `folds` is the number of models that were
    trained without a part of the documents each, of which the one that had not seen a text taught
    it; 0 for a single model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str
    members: int = 1
    writers: int = 0
    folds: int = 0


class ModelConfig(BaseModel):
    """Contents of `config.json`: everything about a model but its weights and vocabularies.

    `fingerprint` is that of the pairs before the split, `valid_fingerprint` that of the validation
    pairs; `base_fingerprints` are those of other pairs that its base models were trained on;
    `columns` are those of the table of pairs; `epochs` counts all epochs of training, those
    of a base model included; `vectors` is the word-vector file that a tagger reads, which is not in
    the folder; `encoder` the origin of its pre-trained encoder, which is; `language_model` that of
    the weights that a tagger began with; `teachers` are those that it learned from, beside the
    pairs; `files` are the checksums of the other files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = FORMAT
    annoseq: str = __version__
    task: Task
    length_stats: LengthStats
    fingerprint: str
    valid_fingerprint: str = ""
    base_fingerprints: tuple[str, ...] = ()
    data: DataConfig
    columns: ColumnsConfig = ColumnsConfig()
    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig
    epochs: int
    vectors: VectorsRecord | None = None
    encoder: EncoderRecord | None = None
    language_model: LanguageModelRecord | None = None
    teachers: tuple[TeacherRecord, ...] = ()
    files: dict[str, str] = {}

    def fingerprints_besides(self, fingerprint: str) -> tuple[str, ...]:
        """Return the fingerprints of all pairs that the weights were trained on, but for one."""
        known = dict.fromkeys((*self.base_fingerprints, self.fingerprint))
        return tuple(one for one in known if one != fingerprint)
