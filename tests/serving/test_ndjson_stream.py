from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from annoseq.errors import OptionError
from annoseq.inference.annotation import from_spans
from annoseq.serving.micro_batcher import AnnotationJob, BatchLimits, MicroBatcher
from annoseq.serving.ndjson_stream import LineStream, split_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from annoseq.inference.annotation import Annotation


class Text(BaseModel, extra="forbid"):
    text: str


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def split(*pieces: bytes, longest: int = 1_000) -> list[bytes | None]:
    async def run() -> list[bytes | None]:
        found = split_lines(pieces_of(*pieces), longest=longest)
        return [line async for lines in found for line in lines]

    return asyncio.run(run())


@given(st.lists(st.text("ab\n").map(str.encode)))
def test_lines_are_the_same_however_they_arrive(pieces: list[bytes]) -> None:
    whole = b"".join(pieces).split(b"\n")
    assert split(*pieces) == (whole if whole[-1] else whole[:-1])


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"a\nbbbb\nc\n",), [b"a", None]),
        ((b"a\nbb", b"bb"), [b"a", None]),
        ((b"bb", b"bb\nc\n"), [None]),
        ((b"bbb\nc",), [b"bbb", b"c"]),
    ],
)
def test_a_line_that_is_too_long_is_the_last(
    pieces: tuple[bytes, ...], expected: list[bytes | None]
) -> None:
    assert split(*pieces, longest=3) == expected


def answer(
    pieces: AsyncIterator[bytes], *, limits: BatchLimits | None = None, longest: int = 1_000
) -> str:
    """Return the answer of a stream whose jobs return the texts in capitals."""
    batcher = MicroBatcher(limits or BatchLimits(delay=0.0))

    def annotate(texts: Sequence[str], first: int) -> list[Annotation]:
        if "bad" in texts:
            raise OptionError("a bad text")
        if "broken" in texts:
            raise KeyError("broken")
        return [from_spans(text, (), score=0.0, windows=1) for text in texts]

    def plan(lines: Sequence[tuple[int, Text]]) -> AnnotationJob[list[str]]:
        assert threading.current_thread() is not threading.main_thread()  # where the loop runs
        texts = [line.text for _, line in lines]
        if "unplanned" in texts:
            raise OptionError("an option is wrong")

        def finish(found: Sequence[Annotation]) -> list[str]:
            numbers = [number for number, _ in lines]
            return [
                f"{number}:{one.text.upper()}\n" for number, one in zip(numbers, found, strict=True)
            ]

        return AnnotationJob(texts, annotate, finish, "key")

    def check(line: Text) -> None:
        if line.text == "unchecked":
            raise OptionError("too long")

    async def run() -> str:
        stream = LineStream(Text, batcher, check, plan, longest)
        return b"".join([piece async for piece in stream.answer(pieces)]).decode()

    try:
        return asyncio.run(run())
    finally:
        batcher.close()


def line(text: str) -> bytes:
    return f'{{"text": "{text}"}}\n'.encode()


def test_lines_that_fail_are_told_in_their_place_and_others_go_on() -> None:
    names = ("a", "bad", "b", "broken", "unchecked", "unplanned", "c")
    content = b"".join(map(line, names)) + b"[\n" + line("d")
    assert answer(pieces_of(content)).splitlines() == [
        "1:A",
        '{"line": 2, "error": "a bad text"}',
        "3:B",
        '{"line": 4, "error": "internal error. The log of the server says where."}',
        '{"line": 5, "error": "too long"}',
        '{"line": 6, "error": "an option is wrong"}',
        "7:C",
        '{"line": 8, "error": "the body: this is no valid JSON (EOF while parsing a list at line 1 '
        'column 1)."}',
        "9:D",
    ]


def test_a_long_line_ends_the_stream_with_a_word() -> None:
    content = line("a") + line("b" * 30) + line("c")
    assert answer(pieces_of(content), longest=20).splitlines() == [
        "1:A",
        '{"line": 2, "error": "the line is longer than 20 bytes. Nothing after it was read."}',
    ]


def test_a_stream_waits_for_room_in_the_queue() -> None:
    limits = BatchLimits(waiting_requests=1, delay=0.0)
    content = b"".join(line(str(number)) for number in range(300))
    found = answer(pieces_of(content, content), limits=limits).splitlines()
    assert found == [f"{number}:{(number - 1) % 300}" for number in range(1, 601)]


def test_a_body_that_stops_is_told_at_the_end() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield line("a")
        raise HTTPException(408, "the body did not arrive")

    assert answer(pieces()).splitlines() == ["1:A", '{"error": "the body did not arrive"}']


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    batcher = MicroBatcher(BatchLimits(delay=0.0))

    def plan(lines: Sequence[tuple[int, Text]]) -> AnnotationJob[list[str]]:
        return AnnotationJob([], lambda *_: [], lambda _: [str(len(lines))], "key")

    async def run() -> list[bytes]:
        came = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            for text in "abc":
                yield line(text)
                await came.wait()
                came.clear()

        answers = []
        stream = LineStream(Text, batcher, lambda _: None, plan, 1_000)
        async for piece in stream.answer(pieces()):
            answers.append(piece)
            came.set()
        return answers

    assert asyncio.run(asyncio.wait_for(run(), 10)) == [b"1", b"1", b"1"]
    batcher.close()
