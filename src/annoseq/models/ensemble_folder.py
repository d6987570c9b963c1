"""Folder of an ensemble, which stands for a model wherever one is named.

ensemble/
├── ensemble.json        names of the members, checksums, the weight of a vote, and the folds that
│                        the members were trained on
├── calibration.json     calibration statistics of the ensemble, if the validation spans suffice
├── card.md              model card
└── members/1, 2, ...    model folders of the members
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_folder
from annoseq.data.folder_files import MEBIBYTE, describe_unsafe_file
from annoseq.errors import ModelError, OptionError, count_noun, describe_validation_error
from annoseq.evaluation.calibration_statistics import CalibrationStatistics
from annoseq.models.model_config import CALIBRATION_FILE, CARD_FILE, ENSEMBLE_FILE
from annoseq.models.serialization import TrainedModel, check_weights_differ, read_config
from annoseq.models.tagger import Tagger
from annoseq.models.tagger_ensemble import TaggerEnsemble
from annoseq.output_lock import restore_interrupted
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.model_config import ModelConfig

MEMBERS_FOLDER = "members"
MAX_VOTE_WEIGHT = 1_000.0
"""Nats that decide every tag by themselves; scores of single precision are finite beside them."""
_MAX_BYTES = 16 * MEBIBYTE


class Folds(BaseModel):
    """Folds of the training documents; the i-th member was not trained on the i-th of them.

    `checksum` is that of the fold of each training row; ensembles of version 0.1 have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: PositiveInt
    seed: int
    checksum: str | None = None


class _EnsembleFile(BaseModel):
    """Contents of `ensemble.json`: `members` are names and fingerprints of the weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    annoseq: str = __version__
    members: tuple[tuple[str, str], ...]
    vote_weight: Annotated[float, Field(ge=0, le=MAX_VOTE_WEIGHT)] | None = None
    folds: Folds | None = None
    calibration: str | None = None


@dataclass(frozen=True, repr=False)
class EnsembleModel:
    """Models with the same labels and validation rows, and their calibration together.

    The scores of taggers are averaged; the spans of sequence-to-sequence models are votes, each of
    `vote_weight` nats. `names` are those of the folders that the members came from.
    """

    members: tuple[TrainedModel, ...]
    names: tuple[str, ...]
    vote_weight: float = 0.0
    folds: Folds | None = None
    calibration: CalibrationStatistics | None = None
    history: None = None

    @classmethod
    def of(
        cls, members: Sequence[TrainedModel], names: Sequence[str], *, folds: Folds | None = None
    ) -> EnsembleModel:
        """Join trained models; the votes of those that write have no weight yet.

        Raises:
            OptionError: there are not two, or no tagger, or they do not fit together.
        """
        if len(members) < 2:
            raise OptionError("an ensemble has at least 2 members. Name another model folder.")
        taggers = [isinstance(model.network, Tagger) for model in members]
        if not any(taggers):
            raise OptionError(
                f"{names[0]}: all of these models write their output, and an ensemble needs a "
                "tagger, which knows the chance of every tag. Name one more folder, of a tagger."
            )
        first = taggers.index(True)
        for model, name in zip(members, names, strict=True):
            if model is not members[first] and (problem := _difference(members[first], model)):
                raise OptionError(f"{name} and {names[first]} {problem}")
        check_weights_differ(names, [model.fingerprint for model in members])
        return cls(tuple(members), tuple(names), folds=folds)

    def __repr__(self) -> str:
        writers = count_noun(len(self.writers), "writer")
        return f"<EnsembleModel: {count_noun(len(self.taggers), 'tagger')}, {writers}>"

    @property
    def taggers(self) -> list[TrainedModel]:
        """Members whose scores are averaged, at least one."""
        return [member for member in self.members if isinstance(member.network, Tagger)]

    @property
    def writers(self) -> list[TrainedModel]:
        """Members that write their output, whose spans are votes."""
        return [member for member in self.members if not isinstance(member.network, Tagger)]

    @property
    def config(self) -> ModelConfig:
        """Configuration of the first tagger, with the other pairs that any member has seen."""
        seen = {one for member in self.members for one in member.config.base_fingerprints}
        return self.taggers[0].config.model_copy(update={"base_fingerprints": tuple(sorted(seen))})

    @property
    def fingerprint(self) -> str:
        """Checksum of the weights of all members, and of that of a vote if there are any."""
        joined = "".join(member.fingerprint for member in self.members)
        if self.writers:
            joined += f" {self.vote_weight}"
        return hashlib.sha256(joined.encode()).hexdigest()

    @cached_property
    def tokenizers(self) -> list[TaggerTokenizer]:
        """The tokenizers of the taggers, which cut texts into the same windows."""
        tokenizers = [member.tokenizer for member in self.taggers]
        stats = [tokenizer.length_stats for tokenizer in tokenizers]
        shared = LengthStats(
            longest_source=min(one.longest_source for one in stats),
            has_line_breaks=all(one.has_line_breaks for one in stats),
            longest_span=max(one.longest_span for one in stats),
            depth=max(one.depth for one in stats),
            self_nested=tuple(sorted({label for one in stats for label in one.self_nested})),
        )
        return [
            replace(tokenizer, length_stats=shared)
            for tokenizer in tokenizers
            if isinstance(tokenizer, TaggerTokenizer)
        ]

    @property
    def tokenizer(self) -> TaggerTokenizer:
        """Tokenizer of the first tagger."""
        return self.tokenizers[0]

    @cached_property
    def network(self) -> TaggerEnsemble:
        """The members as one tagger."""
        return TaggerEnsemble(
            [member.network for member in self.members if isinstance(member.network, Tagger)],
            writers=len(self.writers),
            vote_weight=self.vote_weight,
        )

    def save(
        self, folder: str | Path, *, sources: Sequence[Path], card: str, overwrite: bool = False
    ) -> None:
        """Write the folder, with copies of the model folders `sources` of the members.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        statistics = None if self.calibration is None else self.calibration.model_dump_json()
        file = _EnsembleFile(
            members=tuple(
                (name, member.fingerprint)
                for name, member in zip(self.names, self.members, strict=True)
            ),
            vote_weight=self.vote_weight if self.writers else None,
            folds=self.folds,
            calibration=None if statistics is None else _checksum(statistics.encode()),
        )
        with atomic_folder(Path(folder), overwrite=overwrite) as new:
            for number, source in enumerate(sources, start=1):
                shutil.copytree(source, new / MEMBERS_FOLDER / str(number))
            (new / CARD_FILE).write_text(card, encoding="utf-8")
            if statistics is not None:
                (new / CALIBRATION_FILE).write_text(statistics, encoding="utf-8")
            (new / ENSEMBLE_FILE).write_text(
                file.model_dump_json(indent=1, exclude_none=True), encoding="utf-8"
            )

    @classmethod
    def load(cls, folder: str | Path, *, vectors: str | Path | None = None) -> EnsembleModel:
        """Read a folder that `save` wrote; `vectors` is the word-vector file of its members.

        Raises:
            ModelError: a file is missing or damaged, or has another format.
            OptionError: `vectors` was given, and no member reads any.
        """
        folder = Path(folder)
        file = _read_file(folder)
        members = _load_members(folder, file, vectors)
        statistics = None
        if file.calibration is not None:
            statistics = _read_calibration(folder, file.calibration)
        names = [name for name, _ in file.members]
        try:
            model = cls.of(members, names, folds=file.folds)
        except OptionError as error:
            raise ModelError(f"{folder}: damaged: {error}") from error
        return replace(model, calibration=statistics, vote_weight=file.vote_weight or 0.0)


def vectors_of_members(
    folders: Sequence[Path], vectors: str | Path | None
) -> list[str | Path | None]:
    """Return the file of word vectors for each model: None for one that reads none.

    Raises:
        OptionError: `vectors` was given, and no model reads any.
    """
    if vectors is None:
        return [None] * len(folders)
    files = [None if read_config(folder).vectors is None else vectors for folder in folders]
    if not any(files):
        raise OptionError("no member reads a file of word vectors. Leave --vectors off.")
    return files


def _load_members(
    folder: Path, file: _EnsembleFile, vectors: str | Path | None
) -> list[TrainedModel]:
    paths = [folder / MEMBERS_FOLDER / str(number) for number in range(1, len(file.members) + 1)]
    given = vectors_of_members(paths, vectors)
    members = []
    for path, its_vectors, (_, fingerprint) in zip(paths, given, file.members, strict=True):
        member = TrainedModel.load(path, vectors=its_vectors)
        if member.fingerprint != fingerprint:
            raise ModelError(
                f"{path} is not the model that was saved with this ensemble. Copy the whole folder "
                "again, or make the ensemble again."
            )
        members.append(member)
    return members


def find_difference(first: TaggerTokenizer, second: TaggerTokenizer) -> str | None:
    """Return how two taggers differ so that one cannot be compared with the other, or None."""
    if first.labels != second.labels:
        label = min(set(first.labels) ^ set(second.labels), default=None)
        if label is None:
            return (
                "know the same labels in another order, since the training of one went on with new "
                "labels. Train both from the start."
            )
        return (
            f"do not have the same labels: only one of them knows {label}. Train both on the same "
            "pairs."
        )
    if first.joins_digits != second.joins_digits:
        return "cut digits into tokens in different ways. Train both on the same pairs."
    if (first.levels == 1) != (second.levels == 1):
        return (
            "are of two kinds: one finds nested spans, the other does not. Train both on the same "
            "pairs."
        )
    return None


def find_writer_problem(tagger: TaggerTokenizer, writer: Seq2SeqTokenizer) -> str | None:
    """Return why the spans of a model that writes are no votes beside a tagger, or None."""
    if writer.task != "annotate":
        return "do different things: one of them writes another text than it reads. Leave it out."
    if set(writer.labels) != set(tagger.labels):
        label = min(set(writer.labels) ^ set(tagger.labels))
        return (
            f"do not have the same labels: only one of them knows {label}. Train both on the same "
            "pairs."
        )
    if tagger.levels > 1:
        return (
            "find nested spans, and the spans of a model that writes its output are votes only "
            "where all spans are flat. Leave it out."
        )
    return None


def _difference(first: TrainedModel, second: TrainedModel) -> str | None:
    """Return how a tagger and another model differ so that they make no ensemble, or None."""
    assert isinstance(first.tokenizer, TaggerTokenizer)
    ours, others = (
        (model.config.fingerprint, model.config.valid_fingerprint) for model in (first, second)
    )
    if ours != others:
        return (
            "were trained on other pairs, or kept other rows for validation, so that no row is new "
            "to both. Train both on the same table, with the same --split-seed and --valid-share."
        )
    if isinstance(second.tokenizer, Seq2SeqTokenizer):
        return find_writer_problem(first.tokenizer, second.tokenizer)
    return find_difference(first.tokenizer, second.tokenizer)


def _read_file(folder: Path) -> _EnsembleFile:
    restore_interrupted(folder)
    try:
        limits = dict.fromkeys((ENSEMBLE_FILE, CALIBRATION_FILE, CARD_FILE), _MAX_BYTES)
        if problem := describe_unsafe_file(folder, limits):
            raise ModelError(f"{folder}: {problem}. Copy the whole folder again.")
        return _EnsembleFile.model_validate_json((folder / ENSEMBLE_FILE).read_bytes())
    except OSError as error:
        raise ModelError(
            f"{folder}: {ENSEMBLE_FILE} cannot be read: {error.strerror}. Is this a folder that "
            "`annoseq ensemble --out` wrote?"
        ) from error
    except ValidationError as error:
        raise ModelError(
            f"{folder}: {ENSEMBLE_FILE} is damaged or of another version "
            f"({describe_validation_error(error)}); this is annoseq {__version__}. Make the "
            "ensemble again."
        ) from error


def _read_calibration(folder: Path, checksum: str) -> CalibrationStatistics:
    try:
        content = (folder / CALIBRATION_FILE).read_bytes()
        if _checksum(content) != checksum:
            raise ValueError("it is not the file that was saved")
        return CalibrationStatistics.model_validate_json(content)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder}: {CALIBRATION_FILE} is missing, damaged or of another version. Copy the "
            "whole folder again, or make the ensemble again."
        ) from error


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
