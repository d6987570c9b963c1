"""Training that goes on from a project's model, on pairs in a folder that only its owner may enter.

The folder is removed in the end.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN, SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.pairs import write_pairs
from annoseq.training.training_process import TrainingProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.data.pairs import Pair

PAIRS_PREFIX = ".pairs-"
"""Prefix of the folder of the pairs."""


@dataclass(frozen=True)
class RetrainingRun:
    """A run of `annoseq train`: folder of the model to go on from, folder to write, and options."""

    base: Path
    out: Path
    epochs: int
    options: tuple[str, ...] = ()
    process: TrainingProcess = field(default_factory=TrainingProcess)

    def __call__(self, pairs: Sequence[Pair], report: Callable[[float], None]) -> None:
        """Train in a process of its own; `report` is told the share of the epochs that are done.

        Raises:
            TrainingError: the training failed or was ended.
        """
        with tempfile.TemporaryDirectory(prefix=PAIRS_PREFIX, dir=self.out.parent) as folder:
            table = Path(folder) / "pairs.jsonl"
            write_pairs(pairs, table, overwrite=False)
            self.process.run(
                self._arguments(table), report=lambda done: report(min(done / self.epochs, 1.0))
            )

    def _arguments(self, table: Path) -> list[str]:
        return [
            *(str(table), "--go-on-from", str(self.base), "--out", str(self.out)),
            *("--source", SOURCE_COLUMN, "--target", TARGET_COLUMN),
            *("--document", DOCUMENT_COLUMN, "--offset", OFFSET_COLUMN),
            *("--epochs", str(self.epochs), *self.options),
        ]
