"""Distillation: a tagger learns from other taggers' expectations, beside its gold spans.

The teachers read every training row, and unlabelled texts if there are any, once; what they expect
is kept in a file. A teacher that was trained on a row is too sure of it. One that was cross-fitted
(`annoseq ensemble cross-fit`) has a member for each row that was not trained on it, and that member
alone teaches the row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from annoseq.config import BatchConfig, DistillationConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import OptionError, count_noun
from annoseq.inference.model_loading import load_model
from annoseq.inference.predictor import tokenize_texts
from annoseq.models.ensemble_folder import EnsembleModel, find_difference
from annoseq.models.expectations import Expectations
from annoseq.models.model_config import TeacherRecord
from annoseq.models.serialization import TrainedModel
from annoseq.models.tagger import Tagger
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import WindowIds, collate_sources, length_sorted_batches
from annoseq.tokenization.soft_targets import read_row_targets, write_row_targets
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding, TaggerTokenizer
from annoseq.torchrun import torchrun_environment
from annoseq.training.document_folds import fold_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.devices import ComputeDevice
    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.soft_targets import RowTargets

_BATCHING = BatchConfig(batch_size=64, batch_tokens=8_192)
"""Batches that teachers read: the counts of transitions take memory for each row."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Distillation:
    """Teachers, by their folders, and unlabelled texts; `cache` keeps what teachers expect."""

    teachers: tuple[Path, ...]
    unlabelled: tuple[str, ...] = ()
    config: DistillationConfig = field(default_factory=DistillationConfig)
    cache: Path | None = None

    def prepare(
        self, dataset: Dataset, tokenizer: TaggerTokenizer, compute: ComputeDevice
    ) -> Lessons:
        """Let the teachers read the training rows and the unlabelled texts, unless they have.

        Raises:
            OptionError: a teacher is no tagger, or it and the pupil cannot be compared.
            ModelError: a teacher cannot be read.
            OutputError: the cache cannot be written.
        """
        teachers = [_Teacher.load(path, dataset, tokenizer) for path in self.teachers]
        pieces = _labelled_pieces(dataset)
        rows = len(pieces)
        pieces += _unlabelled_pieces(self.unlabelled, tokenizer)
        key = self._key(dataset, teachers)
        targets = None if self.cache is None else read_row_targets(self.cache, key=key)
        if targets is None or len(targets) != len(pieces):
            targets = _read(pieces, teachers, compute, self.config.teacher_temperature)
            if self.cache is not None and torchrun_environment().is_main:
                write_row_targets(self.cache, targets, key=key)
        extra = [
            (piece, row)
            for piece, row in zip(pieces[rows:], targets[rows:], strict=True)
            if row.confidence >= self.config.least_confidence
        ]
        outside = (0,) * tokenizer.levels
        encodings = []
        for piece, _ in extra:
            ids = tokenizer.encode_texts([piece.text])[1][piece.first : piece.last].tolist()
            encodings.append(TaggerEncoding(ids, [outside] * len(ids)))
        return Lessons(
            tuple(teacher.record for teacher in teachers),
            encodings,
            [*targets[:rows], *(row for _, row in extra)],
            [self.config.teacher_weight] * rows + [1.0] * len(extra),
            left_out=len(pieces) - rows - len(extra),
            of_other_pairs=sum(not teacher.knows_pairs for teacher in teachers),
            key=key,
        )

    def _key(self, dataset: Dataset, teachers: Sequence[_Teacher]) -> str:
        """Return a checksum of all that decides what the teachers expect."""
        parts = [fingerprint_pairs(dataset.train), str(self.config.teacher_temperature)]
        parts += [teacher.record.model_dump_json() for teacher in teachers]
        parts += [
            hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            for text in self.unlabelled
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, repr=False)
class Lessons:
    """Soft targets of the training rows, and of unlabelled rows that follow them.

    `unlabelled` are the encodings of the latter; `targets` and `weights`, the share of the teachers
    in the loss, are those of all rows. `left_out` counts unlabelled rows of too low confidence,
    `of_other_pairs` the teachers that were trained on another table, and `key` is a checksum of all
    that decided the targets.
    """

    teachers: tuple[TeacherRecord, ...]
    unlabelled: list[TaggerEncoding]
    targets: list[RowTargets]
    weights: list[float]
    left_out: int = 0
    of_other_pairs: int = 0
    key: str = ""

    def summary(self) -> str:
        """Return the names of the teachers, and the numbers of rows that they read."""
        names = ", ".join(teacher.name for teacher in self.teachers)
        rows = len(self.targets) - len(self.unlabelled)
        facts = f"{names}; {count_noun(rows, 'training row')}"
        if self.unlabelled or self.left_out:
            facts += f" and {count_noun(len(self.unlabelled), 'unlabelled row')}"
        if self.left_out:
            facts += f" ({self.left_out:,} of too low confidence left out)"
        if self.of_other_pairs:
            facts += (
                f"; {count_noun(self.of_other_pairs, 'teacher')} of other pairs: if validation "
                "rows are among these, the scores flatter"
            )
        return facts


class _Piece(NamedTuple):
    """Tokens `first` to `last` (excluded; None: to the end) of a text; a training row has a number.

    A training row is a whole text, and its number is the place in the training part.
    """

    text: str
    first: int = 0
    last: int | None = None
    row: int | None = None


@dataclass(frozen=True, repr=False)
class _Teacher:
    """Members of a teacher, and the fold of each training row if they were cross-fitted.

    `knows_pairs` is True if it was trained on the pupil's table.
    """

    record: TeacherRecord
    members: tuple[TrainedModel, ...]
    folds: list[int] | None
    knows_pairs: bool

    @classmethod
    def load(cls, path: Path, dataset: Dataset, pupil: TaggerTokenizer) -> _Teacher:
        model = load_model(path)
        members = model.members if isinstance(model, EnsembleModel) else (model,)
        taggers = [
            member
            for member in members
            if isinstance(member, TrainedModel) and isinstance(member.network, Tagger)
        ]
        if len(taggers) < len(members):
            raise OptionError(
                f"--teacher {path}: it knows no probabilities of tags from which a tagger could "
                "learn. Name the folder of a tagger, or of an ensemble."
            )
        for member in taggers:
            assert isinstance(member.tokenizer, TaggerTokenizer)
            if problem := find_difference(pupil, member.tokenizer):
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
            numbers = fold_numbers(dataset, count=folds.count, seed=folds.seed)
        record = TeacherRecord(
            name=path.name,
            fingerprint=model.fingerprint,
            members=len(members),
            folds=0 if folds is None else folds.count,
        )
        return cls(record, tuple(taggers), numbers, same_pairs)

    def of_row(self, row: int | None) -> tuple[int, ...]:
        """Return the numbers of the members that teach a training row, or any other text."""
        if self.folds is None or row is None:
            return tuple(range(len(self.members)))
        return (self.folds[row],)


def _labelled_pieces(dataset: Dataset) -> list[_Piece]:
    return [
        _Piece(example.source, row=row)
        for row, example in enumerate(dataset.train)
        if example.source
    ]


def _unlabelled_pieces(texts: Sequence[str], tokenizer: TaggerTokenizer) -> list[_Piece]:
    """Cut unlabelled texts into windows of the length of training rows."""
    return [
        _Piece(text.text, window.first, window.last)
        for text in tokenize_texts(texts, tokenizer)
        for window in text.windows
    ]


def _read(
    pieces: Sequence[_Piece],
    teachers: Sequence[_Teacher],
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
            members = [
                [teacher.members[member] for member in those]
                for teacher, those in zip(teachers, chosen, strict=True)
            ]
            found = _read_group(
                [pieces[number] for number in numbers], members, compute, temperature, advance
            )
            targets |= zip(numbers, found, strict=True)
    return [targets[number] for number in range(len(pieces))]


def _read_group(
    pieces: Sequence[_Piece],
    teachers: Sequence[Sequence[TrainedModel]],
    compute: ComputeDevice,
    temperature: float,
    advance: Callable[[int], None],
) -> list[RowTargets]:
    """Let the same members of the teachers read pieces; each teacher counts the same."""
    ids = [[_encode(pieces, member) for member in members] for members in teachers]
    networks = [
        [member.network.to(compute.device).eval() for member in members] for members in teachers
    ]
    targets: dict[int, RowTargets] = {}
    for rows in length_sorted_batches([WindowIds(one) for one in ids[0][0]], _BATCHING):
        expected, lengths = [], None
        for own_ids, own_networks in zip(ids, networks, strict=True):
            of_members = []
            for sources, network in zip(own_ids, own_networks, strict=True):
                batch = collate_sources(rows, [WindowIds(one) for one in sources], has_ends=False)
                lengths = batch.source_lengths
                assert isinstance(network, Tagger)
                with compute.running():
                    of_members.append(
                        network.expectations(batch.to(compute.device), temperature=temperature)
                    )
            expected.append(Expectations.mean(of_members))
        assert lengths is not None
        targets |= zip(rows, Expectations.mean(expected).rows(lengths), strict=True)
        advance(len(rows))
    return [targets[row] for row in range(len(pieces))]


def _encode(pieces: Sequence[_Piece], member: TrainedModel) -> list[TokenIds]:
    """Return the ids of pieces, as a member numbers tokens."""
    assert isinstance(member.tokenizer, TaggerTokenizer)
    return [
        member.tokenizer.encode_texts([piece.text])[1][piece.first : piece.last] for piece in pieces
    ]
