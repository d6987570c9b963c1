"""Folders of pre-trained taggers: embeddings and encoder that learned to predict words.

`annoseq pretrain` writes one, and a tagger of the same sizes begins with its weights. It holds
neither texts nor words: the layers that predict words are left out.

folder/
├── config.json          settings, numbers of texts and tokens, checksum of the weights
├── weights.safetensors  weights of the hashed features' embeddings and of the encoder
└── card.md              what it was trained on
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.config import PretrainingConfig, TaggerConfig
from annoseq.data.folder_files import MEBIBYTE, describe_unsafe_file
from annoseq.errors import ModelError, OptionError, count_noun, describe_validation_error
from annoseq.models.model_config import (
    CARD_FILE,
    CONFIG_FILE,
    LANGUAGE_MODEL,
    WEIGHTS_FILE,
    LanguageModelRecord,
)
from annoseq.models.weights_file import write_tensors
from annoseq.output_lock import restore_interrupted
from annoseq.tokenization.hash_features import PRIVACY_NOTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from annoseq.models.tagger import Tagger

_PARTS = ("embedding.", "encoder.")
_SIZES = ("hidden", "embedding", "buckets")
"""Settings of a tagger that a language model shares."""
_OPTION = "--language-model"


class LanguageModelConfig(BaseModel):
    """Contents of `config.json`: sizes of the tagger, settings, and what it was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["language model"] = LANGUAGE_MODEL
    annoseq: str = __version__
    tagger: TaggerConfig
    training: PretrainingConfig
    texts: int
    tokens: int
    perplexity: float | None
    """Of the rows kept for validation; None if none was trained on."""
    weights: str = ""
    """SHA-256 of `weights.safetensors`."""


@dataclass(frozen=True, repr=False)
class LanguageModel:
    """Weights of the embeddings and the encoder of a tagger, by name, and their origin."""

    folder: Path
    config: LanguageModelConfig
    weights: Mapping[str, Tensor]

    def __repr__(self) -> str:
        return f"<LanguageModel: {self.record.summary()}>"

    @property
    def record(self) -> LanguageModelRecord:
        """Origin of the weights, for the configuration of a model that began with them."""
        config = self.config
        return LanguageModelRecord(
            name=self.folder.resolve().name,
            fingerprint=config.weights,
            texts=config.texts,
            tokens=config.tokens,
        )

    @classmethod
    def load(cls, folder: Path) -> LanguageModel:
        """Read a folder.

        Raises:
            ModelError: it is not one of `annoseq pretrain`, or is damaged.
        """
        restore_interrupted(folder)
        config = _read_config(folder)
        path = folder / WEIGHTS_FILE
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != config.weights:
                raise ModelError(
                    f"{folder}: {WEIGHTS_FILE} is not the file that was saved with it. Copy the "
                    "whole folder again, or pre-train again."
                )
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: {WEIGHTS_FILE} cannot be read. Pre-train again."
            ) from error
        return cls(folder, config, weights)

    def save(self, *, overwrite: bool = False) -> None:
        """Write the folder.

        Raises:
            OutputError: it exists already, or cannot be written.
        """
        with atomic_folder(self.folder, overwrite=overwrite) as new:
            path = new / WEIGHTS_FILE
            write_tensors(self.weights, path)
            weights = hashlib.sha256(path.read_bytes()).hexdigest()
            config = self.config.model_copy(update={"weights": weights})
            (new / CARD_FILE).write_text(_write_card(config), encoding="utf-8")
            (new / CONFIG_FILE).write_text(config.model_dump_json(indent=1), encoding="utf-8")

    def initialize(self, tagger: Tagger, config: TaggerConfig) -> None:
        """Copy the weights into a tagger of a configuration.

        Raises:
            OptionError: the tagger has other sizes, or reads more than hashed features.
            ModelError: the weights are not those of the sizes that the folder tells.
        """
        has = {"--encoder": tagger.pretrained, "--vectors": tagger.feature_hasher.vectors}
        _check_others(self.folder, [option for option, part in has.items() if part is not None])
        _check_sizes(self.folder, self.config.tagger, config)
        own = tagger.state_dict()
        expected = {name: tensor.shape for name, tensor in own.items() if is_pretrained(name)}
        if expected != {name: tensor.shape for name, tensor in self.weights.items()}:
            raise ModelError(
                f"{self.folder}: damaged: {WEIGHTS_FILE} is not of the network that {CONFIG_FILE} "
                "describes. Pre-train again."
            )
        tagger.load_state_dict({**own, **self.weights})


def fingerprint_language_model(folder: Path) -> str:
    """Return the checksum of the weights of a folder.

    Raises:
        ModelError: it is not one of `annoseq pretrain`, or is damaged.
    """
    return _read_config(folder).weights


def check_language_model(
    folder: str | Path, tagger: TaggerConfig, *, others: Sequence[str]
) -> None:
    """Check that a tagger can begin with a folder; `others` are options of what else it reads.

    Raises:
        ModelError: it is not one of `annoseq pretrain`, or is damaged.
        OptionError: the tagger has other sizes, or reads more than hashed features.
    """
    folder = Path(folder)
    _check_others(folder, others)
    _check_sizes(folder, _read_config(folder).tagger, tagger)


def _check_others(folder: Path, others: Sequence[str]) -> None:
    """Raise `OptionError` if a tagger reads more than the hashed features."""
    if others:
        raise OptionError(
            f"{_OPTION} {folder}: it has learned from hashed features alone, and with "
            f"{others[0]} the tagger reads others beside them. Leave one of the two off."
        )


def _check_sizes(folder: Path, pretrained: TaggerConfig, tagger: TaggerConfig) -> None:
    """Check that a tagger has the sizes of a pre-trained one.

    Raises:
        OptionError: it has others.
    """
    if not tagger.is_one_lstm:
        raise OptionError(
            f"{_OPTION} {folder}: it is an LSTM of one layer. Leave --tagger.encoder and "
            "--tagger.layers off, or train without a language model."
        )
    for name in _SIZES:
        ours, theirs = getattr(tagger, name), getattr(pretrained, name)
        if ours != theirs:
            option = f"--tagger.{name}"
            raise OptionError(
                f"{_OPTION} {folder}: it has {option} {theirs}, and the tagger {ours}. "
                f"Give {option} {theirs}, or pre-train again with {option} {ours}."
            )


def size_options(config: TaggerConfig) -> str:
    """Return the options that give a tagger the sizes of a language model, each after a space.

    >>> size_options(TaggerConfig(hidden=64))
    ' --tagger.hidden 64'
    """
    sizes = config.model_dump(include=set(_SIZES), exclude_defaults=True)
    return "".join(f" --tagger.{name} {size}" for name, size in sizes.items())


def is_pretrained(name: str) -> bool:
    """Return True if a weight of a tagger is one that a language model has."""
    return name.startswith(_PARTS)


def _read_config(folder: Path) -> LanguageModelConfig:
    """Read the configuration of a folder.

    Raises:
        ModelError: it is missing, damaged, or of another kind of folder.
    """
    hint = "Give a folder that `annoseq pretrain --out` wrote."
    if problem := describe_unsafe_file(folder, {CONFIG_FILE: 16 * MEBIBYTE, WEIGHTS_FILE: None}):
        raise ModelError(f"{_OPTION} {folder}: {problem}. {hint}")
    try:
        text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
        return LanguageModelConfig.model_validate_json(text)
    except OSError as error:
        raise ModelError(
            f"{_OPTION} {folder}: {CONFIG_FILE} cannot be read: {error.strerror}. {hint}"
        ) from error
    except (ValidationError, ValueError) as error:
        reason = describe_validation_error(error) if isinstance(error, ValidationError) else error
        raise ModelError(f"{_OPTION} {folder}: {CONFIG_FILE}: {reason}. {hint}") from error


def _write_card(config: LanguageModelConfig) -> str:
    facts = {
        "network": f"embeddings and encoder of a tagger, {config.tagger.hidden} wide",
        "texts": f"{config.texts:,}, of {count_noun(config.tokens, 'token')}",
        "epochs": str(config.training.epochs),
        "perplexity": "not measured"
        if config.perplexity is None
        else f"{config.perplexity:,.1f} on rows kept from training",
        "seed": str(config.training.seed),
        "written": datetime.now(UTC).date().isoformat(),
        "versions": f"annoseq {config.annoseq}, torch {version('torch')}",
    }
    listed = "\n".join(f"- **{name}**: {value}" for name, value in facts.items())
    return f"# Language model card\n\n{listed}\n\n{PRIVACY_NOTE}\n"
