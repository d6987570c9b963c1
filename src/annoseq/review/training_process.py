"""Training in a process of its own: `annoseq train --go-on-from` on pairs, with its progress.

The pairs are in a folder that only its owner may enter, and which is removed in the end.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN, SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.pairs import write_pairs
from annoseq.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.data.pairs import Pair

PAIRS_PREFIX = ".pairs-"
"""Prefix of the folder of the pairs."""
_EPOCH = re.compile(r"\s*(\d+)\s+\d+\.\d+\s")
"""Line of the table of epochs."""


@dataclass
class TrainingRun:
    """A run of `annoseq train`: folder of the model to go on from, folder to write, and options.

    `process` is there while it runs.
    """

    base: Path
    out: Path
    epochs: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None

    def __call__(self, pairs: Sequence[Pair], report: Callable[[float], None]) -> None:
        """Train in a process of its own; `report` is told the share of the epochs that are done.

        Raises:
            TrainingError: the process failed, with its last line.
        """
        with tempfile.TemporaryDirectory(prefix=PAIRS_PREFIX, dir=self.out.parent) as folder:
            table = Path(folder) / "pairs.jsonl"
            write_pairs(pairs, table, overwrite=False)
            self._run(self._command(table), Path(folder) / "errors.txt", report)

    def _command(self, table: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "annoseq", "train", str(table)),
            *("--go-on-from", str(self.base), "--out", str(self.out)),
            *("--source", SOURCE_COLUMN, "--target", TARGET_COLUMN),
            *("--document", DOCUMENT_COLUMN, "--offset", OFFSET_COLUMN),
            *("--epochs", str(self.epochs), *self.options),
        ]

    def _run(self, command: Sequence[str], errors: Path, report: Callable[[float], None]) -> None:
        done = 0
        with (
            errors.open("w", encoding="utf-8") as stderr,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            self.process = process
            assert process.stdout is not None
            for line in process.stdout:
                if _EPOCH.match(line):
                    done += 1
                    report(min(done / self.epochs, 1.0))
        if process.returncode:
            lines = errors.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
            raise TrainingError(
                f"the training ended with exit code {process.returncode}: "
                f"{lines[-1].removeprefix('annoseq: ')}"
            )
