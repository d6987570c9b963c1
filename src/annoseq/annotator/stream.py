"""Annotating any number of texts in the memory of one chunk of them."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from annoseq.annotator.formats import formatted
from annoseq.annotator.resumable import Tally
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.annotator.annotator import Annotator
    from annoseq.annotator.formats import OutputFormat
    from annoseq.annotator.inputs import Text
    from annoseq.config import BatchConfig, SearchConfig


class Output(Protocol):
    """Takes what is written for each chunk of texts; `tally` is what was taken before."""

    tally: Tally

    def add(self, chunk: Sequence[tuple[str, str]], tally: Tally) -> None:
        """Take the (name, content) of some more texts; `tally` counts all."""
        ...


def annotate_stream(
    annotator: Annotator,
    texts: Iterator[Text],
    output: Output,
    *,
    format_: OutputFormat,
    search: SearchConfig,
    batching: BatchConfig,
    target_recall: float | None = None,
    chunk_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Annotate texts in chunks.

    The first `output.tally.done` texts are passed over: they were written before. `advance` is told
    how many more are done.

    Raises:
        OptionError: those texts are others now.
    """
    done, problems, digest = output.tally
    seen = hashlib.sha256()
    for text in islice(texts, done):
        seen.update(json.dumps(text).encode())
    if done and seen.hexdigest() != digest:
        raise OptionError(
            f"the first {done:,} texts are not those that the interrupted run annotated. "
            "Give it the same input, or start again with --overwrite instead of --resume."
        )
    advance(done)
    while chunk := list(islice(texts, chunk_size)):
        annotations = annotator.annotate(
            [one.text for one in chunk],
            search=search,
            batching=batching,
            target_recall=target_recall,
            first=done + 1,
            advance=advance,
        )
        for text in chunk:
            seen.update(json.dumps(text).encode())
        done += len(chunk)
        problems += sum(one.problem is not None for one in annotations)
        written = [
            (text.id, formatted(text, one, format_))
            for text, one in zip(chunk, annotations, strict=True)
        ]
        output.add(written, Tally(done, problems, seen.hexdigest()))
