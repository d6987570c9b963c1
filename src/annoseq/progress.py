"""A progress bar with rate and time left, on a terminal only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(description: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many more of `total` are done.

    The bar goes to standard error and leaves no trace; in a pipe nothing is written.
    """
    from annoseq.bar import make_bar  # who asks for no bar does not wait for `rich`

    with make_bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, advance=done)
