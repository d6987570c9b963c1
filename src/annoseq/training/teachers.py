"""Teachers of a tagger: models and ensembles that say what they expect of a text.

Of a tagger these are the marginals of its tags and transitions, or of pairs of tokens. A model that
writes its output knows no such thing: it is sure of the tags of its own spans. Within an ensemble
its spans are votes, and the whole ensemble has the marginals of one tagger.

Shapes: B rows, T tokens, M columns of ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from annoseq.config import BatchConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import OptionError, VectorsError
from annoseq.inference.ensemble_predictor import EnsemblePredictor, votes
from annoseq.inference.model_loading import load_model
from annoseq.inference.network_predictors import TaggerPredictor, build_predictor
from annoseq.inference.predictor import tokenize_texts
from annoseq.models.ensemble_folder import (
    MEMBERS_FOLDER,
    EnsembleModel,
    find_difference,
    find_writer_problem,
)
from annoseq.models.expectations import Expectations, path_expectations
from annoseq.models.model_config import TeacherRecord
from annoseq.models.serialization import TrainedModel, read_config
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import WindowIds, collate_sources, length_sorted_batches
from annoseq.tokenization.bioes import tag_blocks
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.document_folds import checksum_folds, fold_numbers
from annoseq.vectors.lookup import fingerprint_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from annoseq.data.splits import SplitBy
    from annoseq.devices import ComputeDevice
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.models.ensemble_folder import Folds
    from annoseq.models.onnx_model import OnnxModel
    from annoseq.tokenization.batching import Batch, TokenIds
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.soft_targets import RowTargets

_BATCHING = BatchConfig(batch_size=64, batch_tokens=8_192)
"""Batches that teachers read: the counts of transitions take memory for each row."""


class Piece(NamedTuple):
    """Tokens `first` to `last` (excluded; None: to the end) of a text; a training row has a number.

    A training row is a whole text, and its number is the place in the training part.
    """

    text: str
    first: int = 0
    last: int | None = None
    row: int | None = None


@dataclass(frozen=True, repr=False)
class Teacher:
    """Members of a teacher, and the fold of each training row if they were cross-fitted.

    An ensemble with writers is one member. `knows_pairs` is True if the teacher was trained on the
    pupil's table.
    """

    record: TeacherRecord
    members: tuple[TrainedModel | EnsembleModel, ...]
    folds: list[int] | None
    knows_pairs: bool

    @classmethod
    def load(
        cls,
        path: Path,
        dataset: Dataset,
        pupil: TaggerTokenizer,
        *,
        vectors: str | Path | None = None,
    ) -> Teacher:
        """Read the folder of a model or an ensemble; `vectors` are the word vectors of the pupil.

        Raises:
            OptionError: it and the pupil cannot be compared, or it has seen validation rows.
            ModelError: it cannot be read.
            VectorsError: its word vectors are neither where they were nor those of the pupil.
        """
        model = _load_model(path, vectors)
        if not isinstance(model, TrainedModel | EnsembleModel):
            raise OptionError(
                f"--teacher {path}: an ONNX file knows no probabilities of transitions, from which "
                "a tagger learns. Name the folder of the model that it was exported from."
            )
        for member in model.members if isinstance(model, EnsembleModel) else (model,):
            if isinstance(member.tokenizer, TaggerTokenizer):
                problem = find_difference(pupil, member.tokenizer)
            else:
                problem = find_writer_problem(pupil, member.tokenizer)
            if problem:
                raise OptionError(f"--teacher {path}: the teacher and the pupil {problem}")
        config = model.config
        same_pairs = config.fingerprint == dataset.fingerprint
        if same_pairs and config.valid_fingerprint != fingerprint_pairs(dataset.valid):
            raise OptionError(
                f"--teacher {path}: it was trained on rows of this table that are now kept for "
                "validation, which would flatter. Use its --split-seed and --valid-share."
            )
        folds = model.folds if isinstance(model, EnsembleModel) and same_pairs else None
        numbers = None
        if folds is not None:
            numbers = _folds_of_rows(path, folds, dataset, split_by=config.data.split_by)
        return cls(
            _record(path.name, model, folds=0 if folds is None else folds.count),
            _teaching_members(model),
            numbers,
            same_pairs,
        )

    def of_row(self, row: int | None) -> tuple[int, ...]:
        """Return the numbers of the members that teach a training row, or any other text."""
        if self.folds is None or row is None:
            return tuple(range(len(self.members)))
        return (self.folds[row],)


def _load_model(path: Path, vectors: str | Path | None) -> TrainedModel | EnsembleModel | OnnxModel:
    """Read a model, with the word vectors of the pupil if they are those that it reads."""
    shared = None
    if vectors is not None and path.is_dir():
        folders = [*path.glob(f"{MEMBERS_FOLDER}/*")] or [path]
        records = [record for folder in folders if (record := read_config(folder).vectors)]
        fingerprint = fingerprint_vectors(Path(vectors))
        if records and all(record.fingerprint == fingerprint for record in records):
            shared = vectors
    try:
        return load_model(path, vectors=shared)
    except VectorsError as error:
        raise VectorsError(
            f"{error} The pupil of --teacher then reads it, too; if it is not to, put the file "
            "back where it was."
        ) from error


def _folds_of_rows(path: Path, folds: Folds, dataset: Dataset, *, split_by: SplitBy) -> list[int]:
    """Return the fold of each training row, which are those that the members were trained by.

    Raises:
        OptionError: the members were trained on other rows, or these were of other documents.
    """
    numbers = fold_numbers(dataset, count=folds.count, seed=folds.seed, split_by=split_by)
    if folds.checksum not in (None, checksum_folds(numbers)):
        raise OptionError(
            f"--teacher {path}: its members were trained on other rows of this table, or on rows "
            "of other documents, so that rows would be taught by one that has seen them. Use the "
            "--document, --normalize and --skip-bad that it was cross-fitted with."
        )
    return numbers


def _record(name: str, model: TrainedModel | EnsembleModel, *, folds: int) -> TeacherRecord:
    members = model.members if isinstance(model, EnsembleModel) else (model,)
    writers = sum(not isinstance(member.tokenizer, TaggerTokenizer) for member in members)
    return TeacherRecord(
        name=name,
        fingerprint=model.fingerprint,
        members=len(members),
        writers=writers,
        folds=folds,
    )


def _teaching_members(
    model: TrainedModel | EnsembleModel,
) -> tuple[TrainedModel | EnsembleModel, ...]:
    """Return the models whose expectations are averaged."""
    if isinstance(model, EnsembleModel) and not model.writers:
        return model.members
    return (model,)


class _Reader(Protocol):
    """Member of a teacher that reads pieces of text."""

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the ids of the tokens (T,) or (T, M) of texts."""
        ...

    def expectations(self, batch: Batch, *, temperature: float) -> Expectations:
        """Return what is expected of a batch of ids."""
        ...


@dataclass(frozen=True)
class _TaggerReader:
    """A tagger, or an ensemble as one tagger."""

    predictor: TaggerPredictor

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the ids of the tokens of texts."""
        return [text.ids for text in self.predictor.tokenize(texts)]

    def expectations(self, batch: Batch, *, temperature: float) -> Expectations:
        """Return the marginals of the tagger."""
        return self.predictor.network.expectations(batch, temperature=temperature)


@dataclass(frozen=True)
class _WriterReader:
    """A model that writes: the ids are the tags of its spans, of which no temperature is unsure."""

    predictor: SpanPredictor
    pupil: TaggerTokenizer

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the tags of the pupil's tokens."""
        read = tokenize_texts(texts, self.pupil)
        return list(votes(self.predictor, read, labels=self.pupil.labels))

    def expectations(self, batch: Batch, *, temperature: float) -> Expectations:
        """Return the expectations of one that is sure."""
        del temperature
        labels = len(self.pupil.labels)
        return path_expectations(batch.source, batch.source_lengths, labels=labels)


def _open_reader(
    model: TrainedModel | EnsembleModel, pupil: TaggerTokenizer, compute: ComputeDevice
) -> _Reader:
    if isinstance(model, EnsembleModel):
        return _TaggerReader(EnsemblePredictor.of(model, compute))
    predictor = build_predictor(model.network, model.tokenizer, compute)
    if isinstance(predictor, TaggerPredictor):
        return _TaggerReader(predictor)
    return _WriterReader(predictor, pupil)


def ask_teachers(
    pieces: Sequence[Piece],
    teachers: Sequence[Teacher],
    pupil: TaggerTokenizer,
    compute: ComputeDevice,
    temperature: float,
) -> list[RowTargets]:
    """Let the teachers read pieces of text; return the targets of each."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for number, piece in enumerate(pieces):
        groups.setdefault(tuple(one.of_row(piece.row) for one in teachers), []).append(number)
    targets: dict[int, RowTargets] = {}
    with progress_bar("asking teachers", total=len(pieces)) as advance:
        for chosen, numbers in groups.items():
            readers = [
                [_open_reader(teacher.members[member], pupil, compute) for member in those]
                for teacher, those in zip(teachers, chosen, strict=True)
            ]
            found = _read_group(
                [pieces[number] for number in numbers], readers, compute, temperature, advance
            )
            targets |= zip(numbers, found, strict=True)
    return [targets[number] for number in range(len(pieces))]


def _read_group(
    pieces: Sequence[Piece],
    teachers: Sequence[Sequence[_Reader]],
    compute: ComputeDevice,
    temperature: float,
    advance: Callable[[int], None],
) -> list[RowTargets]:
    """Let the same members of the teachers read pieces; each teacher counts the same."""
    ids = [[_encode(pieces, reader) for reader in readers] for readers in teachers]
    targets: dict[int, RowTargets] = {}
    for rows in length_sorted_batches(ids[0][0], _BATCHING):
        expected, lengths = [], None
        for own_ids, readers in zip(ids, teachers, strict=True):
            of_members = []
            for sources, reader in zip(own_ids, readers, strict=True):
                batch = collate_sources(rows, sources, has_ends=False)
                lengths = batch.source_lengths
                with compute.running():
                    of_members.append(
                        reader.expectations(batch.to(compute.device), temperature=temperature)
                    )
            expected.append(Expectations.mean(of_members))
        assert lengths is not None
        targets |= zip(rows, Expectations.mean(expected).rows(lengths), strict=True)
        advance(len(rows))
    return [targets[row] for row in range(len(pieces))]


def _encode(pieces: Sequence[Piece], reader: _Reader) -> list[WindowIds]:
    """Return the ids of pieces, as a member numbers tokens; it reads each text once."""
    texts = list(dict.fromkeys(piece.text for piece in pieces))
    by_text = dict(zip(texts, reader.encode(texts), strict=True))
    encoded = [by_text[piece.text][piece.first : piece.last] for piece in pieces]
    if isinstance(reader, _WriterReader):
        labels = len(reader.pupil.labels)
        encoded = [_without_cut_spans(np.asarray(tags), labels=labels) for tags in encoded]
    return [WindowIds(ids) for ids in encoded]


def _without_cut_spans(tags: NDArray[np.int64], *, labels: int) -> NDArray[np.int64]:
    """Return the tags of a piece, outside where a span goes on before its start or after its end.

    >>> _without_cut_spans(np.array([2, 3, 4, 1, 2]), labels=1).tolist()
    [0, 0, 4, 0, 0]
    """
    _, begin, inside, end, _ = tag_blocks(labels)
    tags = tags.copy()
    goes_back = (inside.start <= tags) & (tags < end.stop)
    goes_on = (begin.start <= tags) & (tags < inside.stop)
    first = len(tags) if goes_back.all() else int(goes_back.argmin())
    tags[:first] = 0
    last = 0 if goes_on.all() else len(tags) - int(goes_on[::-1].argmin())
    tags[last:] = 0
    return tags
