"""Task for the workers of a pool, in a module that they import without torch."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import MarkupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.inference.annotator import Annotator


@dataclass(frozen=True)
class Commands:
    """Task whose chunks are words that say what the worker does."""

    def run(self, annotator: Annotator, chunk: str, advance: Callable[[int], None]) -> int:
        advance(2)
        match chunk:
            case "refuse":
                raise MarkupError("found x", at=3, hint="Mend it.")
            case "fail":
                raise ZeroDivisionError("Xanthippe")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                time.sleep(60)
        return os.getpid()
