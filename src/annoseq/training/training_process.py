"""`annoseq train` in a process of its own, which tells its epochs and can be ended."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPOCH = re.compile(r"\s*(\d+)\s+\d+\.\d+\s")
"""Line of the table of epochs."""
_USER_ERROR = 2
"""Exit code of an `AnnoseqError`, whose message never quotes a text."""


@dataclass
class TrainingProcess:
    """Runs `annoseq train`, one training at a time; another thread may close it."""

    command: Sequence[str] = (sys.executable, "-m", "annoseq")
    _process: subprocess.Popen[str] | None = None
    _is_closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        """True while a training runs."""
        return self._process is not None

    def run(
        self, arguments: Sequence[str], *, report: Callable[[int], None] = lambda _: None
    ) -> None:
        """Train with these arguments of `annoseq train`; `report` is told the epochs done.

        Raises:
            TrainingError: the training failed or was ended.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            with self._started(arguments, errors.fileno()) as process:
                assert process.stdout is not None
                epochs = 0
                for line in process.stdout:
                    if _EPOCH.match(line):
                        epochs += 1
                        report(epochs)
            with self._lock:
                self._process = None
            errors.seek(0)
            self._check_end(process.returncode, errors.read())

    def close(self) -> None:
        """End the training that runs, if one does, and start none from now on."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.terminate()

    def _started(self, arguments: Sequence[str], errors: int) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_closed:
                raise _ended()
            self._process = subprocess.Popen(
                [*self.command, "train", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
            )
            return self._process

    def _check_end(self, code: int, errors: str) -> None:
        if self._is_closed:
            raise _ended()
        if code == _USER_ERROR:
            message = errors.strip().rpartition("annoseq: ")[2].replace("\n", " ")
            raise TrainingError(f"the training failed: {message}")
        if code:
            raise TrainingError(f"the training ended with exit code {code}. Start it again.")


def _ended() -> TrainingError:
    return TrainingError("the server ended, and the training with it. Start both again.")
