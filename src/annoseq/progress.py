"""Progress bars with rate and time left, drawn on a terminal only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

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

from annoseq.torchrun import launched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task


@contextmanager
def progress(description: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many more of `total` are done.

    The bar goes to standard error and leaves no trace; in a pipe nothing is written.
    """

    with make_bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, advance=done)


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="progress.data.speed")


def make_bar() -> Progress:
    """Return a bar with rate and time left, which shows itself on a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # A notebook would need ipywidgets.
        disable=not (console.is_terminal and launched().is_main),
    )
