from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from annoseq.serving.request_limits import LimitedApp, RequestLimits
from tests.serving.test_security import client

MESSAGE = (
    "the body is larger than 1,000 bytes. Send the texts in several requests, or use a path that "
    "streams."
)


def test_a_body_that_announces_too_much_is_refused() -> None:
    response = client().post("/notes", content=b"x" * 1_001)
    assert response.status_code == 413
    assert response.json() == {"error": MESSAGE}
    assert response.headers["connection"] == "close"


def read_of(body: list[bytes], headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return the status of a refused body, and the number of pieces of it that were read."""
    pieces = iter(body)
    read = 0

    async def receive() -> Any:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": next(pieces), "more_body": read < len(body)}

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    async def send(_: Any) -> None:
        raise AssertionError

    scope = {"type": "http", "path": "/notes", "headers": headers}
    with pytest.raises(HTTPException) as error:
        asyncio.run(LimitedApp(app, RequestLimits(max_body=1_000))(scope, receive, send))
    return error.value.status_code, read


def test_what_is_refused_is_read_to_its_end_if_that_is_near() -> None:
    pieces = [b"x" * 500] * 6
    assert read_of(pieces, []) == (413, 6)
    assert read_of(pieces, [(b"content-length", b"3000")]) == (413, 6)
    assert read_of(pieces, [(b"content-length", b"4001")]) == (413, 0)
    awaiting = [(b"content-length", b"3000"), (b"expect", b"100-continue")]
    assert read_of(pieces, awaiting) == (413, 0)
    assert read_of([b"x" * 500] * 20, []) == (413, 9)


def test_a_client_that_does_not_read_is_given_up() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def block(*_: Any) -> Any:
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/", "headers": []}
    with pytest.raises(ClientDisconnect):
        asyncio.run(LimitedApp(app, RequestLimits(seconds=0.01))(scope, block, block))


def test_a_body_that_grows_too_large_is_refused() -> None:
    response = client().post("/notes", content=(b"x" * 100 for _ in range(11)))
    assert response.status_code == 413
    assert response.json() == {"error": MESSAGE}


def test_a_streamed_body_may_be_of_any_size() -> None:
    assert client().post("/stream", content=(b"x" * 100 for _ in range(50))).json() == 5_000
    assert client().post("/stream", content=b"x" * 5_000).json() == 5_000


def read_slowly(pauses: list[float], *, path: str) -> int:
    """Return the number of pieces that an application gets, one after each pause."""
    pieces: list[Any] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while True:
            pieces.append(message := await receive())
            if not message["more_body"]:
                return

    waits = iter(pauses)

    async def receive() -> Any:
        await asyncio.sleep(next(waits))
        return {"type": "http.request", "body": b"x", "more_body": len(pieces) < len(pauses) - 1}

    async def send(_: Any) -> None:
        raise AssertionError

    limits = RequestLimits(seconds=0.04, streamed_paths=frozenset({"/stream"}))
    scope = {"type": "http", "path": path, "headers": []}
    asyncio.run(LimitedApp(app, limits)(scope, receive, send))
    return len(pieces)


def test_a_body_that_stays_away_is_given_up() -> None:
    for path in ("/notes", "/stream"):
        with pytest.raises(HTTPException) as error:
            read_slowly([0.0, 60.0], path=path)
        assert error.value.status_code == 408
        assert error.value.detail == ("the body did not arrive within 0.04 seconds. Send it again.")


def test_a_body_that_drips_is_given_up_but_a_stream_is_not() -> None:
    with pytest.raises(HTTPException):
        read_slowly([0.01] * 8, path="/notes")
    assert read_slowly([0.01] * 8, path="/stream") == 8
