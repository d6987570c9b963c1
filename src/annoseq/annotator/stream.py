"""Annotating any number of texts in the memory of one chunk of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from annoseq.annotator.formats import formatted
from annoseq.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.annotator.annotator import Annotator
    from annoseq.annotator.formats import OutputFormat
    from annoseq.annotator.inputs import Text
    from annoseq.config import BatchConfig, SearchConfig


class Output(Protocol):
    """Takes what is written for each chunk of texts; `done` were taken before."""

    done: int

    def add(self, chunk: Sequence[tuple[str, str]], *, done: int) -> None:
        """Take the (name, content) of some more texts, `done` in all."""
        ...


def annotate_stream(
    annotator: Annotator,
    texts: Iterator[Text],
    output: Output,
    *,
    format_: OutputFormat,
    search: SearchConfig,
    batching: BatchConfig,
    chunk_size: int,
    total: int | None = None,
) -> int:
    """Annotate texts in chunks, and return how many outputs have a problem.

    The first `output.done` texts are passed over: they were written before.
    """
    problems = 0
    done = output.done
    waiting = islice(texts, done, None)
    with progress("annotating", total=total) as advance:
        advance(done)
        while chunk := list(islice(waiting, chunk_size)):
            annotations = annotator.annotate(
                [one.text for one in chunk],
                search=search,
                batching=batching,
                first=done + 1,
                advance=advance,
            )
            done += len(chunk)
            problems += sum(one.problem is not None for one in annotations)
            written = [
                (text.id, formatted(text, one, format_))
                for text, one in zip(chunk, annotations, strict=True)
            ]
            output.add(written, done=done)
    return problems
