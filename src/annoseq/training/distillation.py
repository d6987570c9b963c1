"""Distillation: a tagger learns from other models' expectations, beside its gold spans.

The teachers read every training row, and unlabelled texts if there are any, once; what they expect
is kept in a file. A teacher that was trained on a row is too sure of it. One that was cross-fitted
(`annoseq ensemble cross-fit`) has a member for each row that was not trained on it, and that member
alone teaches the row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from annoseq.config import DistillationConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import count_noun
from annoseq.inference.predictor import tokenize_texts
from annoseq.models.serialization import check_weights_differ
from annoseq.tokenization.soft_targets import (
    check_not_foreign,
    read_row_targets,
    write_row_targets,
)
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.torchrun import torchrun_environment
from annoseq.training.checkpoint import data_plan, read_checkpoint
from annoseq.training.teachers import Piece, Teacher, ask_teachers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.devices import ComputeDevice
    from annoseq.models.model_config import TeacherRecord
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.soft_targets import RowTargets
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


@dataclass(frozen=True, kw_only=True, repr=False)
class Distillation:
    """Teachers, by their folders, and unlabelled texts; `cache` keeps what teachers expect.

    `vectors` are the word vectors of the pupil, which teachers that were trained with them read at
    their new place, too. `resumes` is the checkpoint of the training that is resumed, if one is.
    """

    teachers: tuple[Path, ...]
    unlabelled: tuple[str, ...] = ()
    config: DistillationConfig = field(default_factory=DistillationConfig)
    cache: Path | None = None
    vectors: str | Path | None = None
    resumes: Path | None = None

    def prepare(
        self, dataset: Dataset, tokenizer: TaggerTokenizer, compute: ComputeDevice
    ) -> Lessons:
        """Let the teachers read the training rows and the unlabelled texts, unless they have.

        Raises:
            OptionError: a teacher and the pupil cannot be compared, or two teachers are the same.
            ModelError: a teacher cannot be read.
            OutputError: the cache cannot be written, or is a file of another program.
            TrainingError: the training that is resumed was begun with other teachers or texts.
        """
        if self.cache is not None:
            check_not_foreign(self.cache)
        teachers = [
            Teacher.load(path, dataset, tokenizer, vectors=self.vectors) for path in self.teachers
        ]
        names = [f"--teacher {path}" for path in self.teachers]
        check_weights_differ(names, [teacher.record.fingerprint for teacher in teachers])
        plan = self._plan(teachers)
        if self.resumes is not None:  # before the cache of what it was begun with is replaced
            read_checkpoint(self.resumes, plan=data_plan(dataset) | plan)
        pieces = _labelled_pieces(dataset)
        rows = len(pieces)
        unlabelled, encodings = _unlabelled_pieces(self.unlabelled, tokenizer)
        pieces += unlabelled
        targets = self.ask(dataset, pieces, teachers, tokenizer, compute)
        extra = [
            (encoding, row)
            for encoding, row in zip(encodings, targets[rows:], strict=True)
            if row.confidence >= self.config.least_confidence
        ]
        return Lessons(
            tuple(teacher.record for teacher in teachers),
            [encoding for encoding, _ in extra],
            [*targets[:rows], *(row for _, row in extra)],
            [self.config.teacher_weight] * rows + [1.0] * len(extra),
            left_out=len(encodings) - len(extra),
            of_other_pairs=sum(not teacher.knows_pairs for teacher in teachers),
            plan=plan,
        )

    def ask(
        self,
        dataset: Dataset,
        pieces: Sequence[Piece],
        teachers: Sequence[Teacher],
        tokenizer: TaggerTokenizer,
        compute: ComputeDevice,
    ) -> list[RowTargets]:
        """Return what the teachers expect of pieces, from the cache if they were asked before.

        Raises:
            OutputError: the cache cannot be written.
        """
        key = self._key(dataset, teachers)
        targets = None if self.cache is None else read_row_targets(self.cache, key=key)
        if targets is None or len(targets) != len(pieces):
            targets = ask_teachers(
                pieces, teachers, tokenizer, compute, self.config.teacher_temperature
            )
            if self.cache is not None and torchrun_environment().is_main:
                write_row_targets(self.cache, targets, key=key)
        return targets

    def _plan(self, teachers: Sequence[Teacher]) -> dict[str, object]:
        """Return all that decides targets, weights and rows, which a resumed training shares."""
        records = [teacher.record for teacher in teachers]
        names = [f"{record.name} (sha256 {record.fingerprint[:12]})" for record in records]
        checksum = hashlib.sha256("\n".join(map(_checksum, self.unlabelled)).encode()).hexdigest()
        texts = f"{len(self.unlabelled):,} (sha256 {checksum[:12]})" if self.unlabelled else ""
        plan = {"teachers": ", ".join(names), "unlabelled texts": texts}
        return plan | self.config.model_dump()

    def _key(self, dataset: Dataset, teachers: Sequence[Teacher]) -> str:
        """Return a checksum of all that decides what the teachers expect."""
        parts = [fingerprint_pairs(dataset.train), str(self.config.teacher_temperature)]
        parts += [teacher.record.model_dump_json() for teacher in teachers]
        parts += map(_checksum, self.unlabelled)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, repr=False)
class Lessons:
    """Soft targets of the training rows, and of unlabelled rows that follow them.

    `unlabelled` are the encodings of the latter; `targets` and `weights`, the share of the teachers
    in the loss, are those of all rows. `left_out` counts unlabelled rows of too low confidence, and
    `of_other_pairs` the teachers that were trained on another table. `plan` has all that decided
    these, which a resumed training shares.
    """

    teachers: tuple[TeacherRecord, ...]
    unlabelled: list[TaggerEncoding]
    targets: list[RowTargets]
    weights: list[float]
    plan: dict[str, object]
    left_out: int = 0
    of_other_pairs: int = 0

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


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _labelled_pieces(dataset: Dataset) -> list[Piece]:
    return [
        Piece(example.source, row=row)
        for row, example in enumerate(dataset.train)
        if example.source
    ]


def _unlabelled_pieces(
    texts: Sequence[str], tokenizer: TaggerTokenizer
) -> tuple[list[Piece], list[TaggerEncoding]]:
    """Cut unlabelled texts into windows of the length of training rows, and encode these."""
    pieces, encodings = [], []
    outside = (0,) * tokenizer.levels
    for text in tokenize_texts(texts, tokenizer):
        for index, window in enumerate(text.windows):
            pieces.append(Piece(text.text, window.first, window.last))
            ids = np.asarray(text.window_ids(index)).tolist()
            encodings.append(TaggerEncoding(ids, [outside] * len(ids)))
    return pieces, encodings
