"""Streams of JSON lines (NDJSON): texts in, results out, in order and in bounded memory.

A line that cannot be used is answered by its number and its error, and the others go on. Lines go
into the queue as they arrive, and wait for room there: a stream never meets a full queue.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from annoseq.errors import AnnoseqError, count_noun
from annoseq.serving.error_responses import describe_request_error
from annoseq.serving.micro_batcher import QueueFullError
from annoseq.serving.security import INTERNAL_ERROR, describe_exception

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from concurrent.futures import Future

    from annoseq.serving.micro_batcher import AnnotationJob, MicroBatcher

_LOG = logging.getLogger(__name__)
LineModel = TypeVar("LineModel", bound=BaseModel)
NDJSON = "application/x-ndjson"
_CHUNK_LINES = 64
_CHUNKS_UNDER_WAY = 2
_PAUSE = 0.05
"""Seconds between two attempts to find room in the queue."""


class Line(NamedTuple, Generic[LineModel]):
    """Line of a stream with its number from 1: its content, or the error that it has."""

    number: int
    content: LineModel | None
    error: str = ""


@dataclass(frozen=True)
class LineStream(Generic[LineModel]):
    """Answers the lines of a stream, each at most `longest` bytes long.

    `check` raises an `AnnoseqError` for a line that cannot be used; `plan` makes the job of several
    lines, in a thread of its own, whose result are lines of JSON. `describe` words their errors.
    """

    model: type[LineModel]
    batcher: MicroBatcher
    check: Callable[[LineModel], None]
    plan: Callable[[Sequence[tuple[int, LineModel]]], AnnotationJob[list[str]]]
    longest: int
    describe: Callable[[AnnoseqError], str] = str

    async def answer(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the results of the lines of a body in their order, as soon as they are there."""
        answers: asyncio.Queue[asyncio.Task[str] | None] = asyncio.Queue()
        slots = asyncio.Semaphore(_CHUNKS_UNDER_WAY)

        async def read() -> None:
            try:
                async for chunk in self._chunks(pieces):
                    await slots.acquire()
                    answers.put_nowait(asyncio.create_task(self._answer_chunk(chunk)))
            finally:
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (task := await answers.get()) is not None:
                yield (await task).encode()
                slots.release()
            await reader  # which raises what ended it
        except HTTPException as error:  # the body came too slowly, and the response has begun
            yield _error_line(None, str(error.detail)).encode()
        finally:
            reader.cancel()
            while not answers.empty():
                if left := answers.get_nowait():
                    left.cancel()

    async def _chunks(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Line[LineModel]]]:
        """Yield the lines that arrive together, in chunks of a bounded number."""
        number = 0
        async for arrived in split_lines(pieces, longest=self.longest):
            chunk: list[Line[LineModel]] = []
            for data in arrived:
                number += 1
                if data is None:
                    limit = count_noun(self.longest, "byte")
                    error = f"the line is longer than {limit}. Nothing after it was read."
                    chunk.append(Line(number, None, error))
                elif data.strip():
                    chunk.append(self._parse(number, data))
                if len(chunk) == _CHUNK_LINES:
                    yield chunk
                    chunk = []
            if chunk:
                yield chunk

    def _parse(self, number: int, data: bytes) -> Line[LineModel]:
        try:
            content = self.model.model_validate_json(data)
            self.check(content)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            return Line(number, None, describe_request_error(details))
        except AnnoseqError as error:
            return Line(number, None, self.describe(error))
        return Line(number, content)

    async def _answer_chunk(self, chunk: Sequence[Line[LineModel]]) -> str:
        """Return the results of lines: neighbours that can be used make one job."""
        answers: list[str] = []
        for is_usable, lines in groupby(chunk, key=lambda line: line.content is not None):
            if is_usable:
                answers += await self._answer_lines(list(lines))
            else:
                answers += [_error_line(line.number, line.error) for line in lines]
        return "".join(answers)

    async def _answer_lines(self, lines: Sequence[Line[LineModel]]) -> Iterable[str]:
        """Return the results of lines; if they fail together, of each alone."""
        contents = [(line.number, line.content) for line in lines if line.content is not None]
        try:
            job = await asyncio.to_thread(self.plan, contents)
            return await _wait_for(job, await self._submit(job))
        except Exception as error:  # noqa: BLE001  # a line that fails does not end the stream
            if len(lines) == 1:
                return [_error_line(lines[0].number, self._describe_failure(error))]
        return [answer for line in lines for answer in await self._answer_lines([line])]

    def _describe_failure(self, error: Exception) -> str:
        if isinstance(error, AnnoseqError):
            return self.describe(error)
        _LOG.error("internal error: %s", describe_exception(error))
        return INTERNAL_ERROR

    async def _submit(self, job: AnnotationJob[list[str]]) -> Future[list[str]]:
        """Queue a job as soon as there is room."""
        while True:
            try:
                return self.batcher.submit(job)
            except QueueFullError:
                if not self.batcher.is_alive:
                    raise
                await asyncio.sleep(_PAUSE)


async def split_lines(
    pieces: AsyncIterator[bytes], *, longest: int
) -> AsyncIterator[list[bytes | None]]:
    """Yield the lines that end in each piece of a body; None is a line that is too long, the last.

    >>> async def pieces():
    ...     yield b"one\\ntw"
    ...     yield b"o\\nthree"
    >>> async def run():
    ...     return [lines async for lines in split_lines(pieces(), longest=9)]
    >>> asyncio.run(run())
    [[b'one'], [b'two'], [b'three']]
    """
    parts: list[bytes] = []  # of a line whose end has not come
    size = 0
    async for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        size += len(first)
        lines: list[bytes | None] = []
        if others:
            *whole, rest = others
            lines = [b"".join(parts), *whole]
            parts, size = [rest], len(rest)
        long = next((at for at, line in enumerate(lines) if len(line or b"") > longest), None)
        if long is not None or size > longest:
            yield [*lines[:long], None]
            return
        if lines:
            yield lines
    if size:
        yield [b"".join(parts)]


async def _wait_for(job: AnnotationJob[list[str]], future: Future[list[str]]) -> list[str]:
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        job.is_abandoned = True
        raise


def _error_line(number: int | None, message: str) -> str:
    place = {} if number is None else {"line": number}
    return json.dumps({**place, "error": message}, ensure_ascii=False) + "\n"
