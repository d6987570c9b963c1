"""Progress bars with rate and time left, drawn on a terminal only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, Task
    from rich.text import Text


@contextmanager
def progress_bar(description: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar by a number of items.

    The bar goes to standard error and is erased at its end; in a pipe nothing is written. With
    `total=None` it counts without an end.
    """
    with _make_bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda items: bar.update(task, advance=items)


def _make_bar() -> Progress:
    """Return a bar, disabled unless this is the main process and standard error is a terminal."""
    # `rich` takes long to import, and modules that may show a bar are imported by every command.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Items per second."""

        def render(self, task: Task) -> Text:
            rate = f"{task.speed:,.1f}/s" if task.speed else ""
            return Text(rate, style="progress.data.speed")

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # A notebook would need ipywidgets.
        disable=not (console.is_terminal and torchrun_environment().is_main),
    )
