from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException

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
