"""Limits of requests: the size of a body, and the time that it may take to arrive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from annoseq.errors import count_noun
from annoseq.serving.security import header_values

if TYPE_CHECKING:
    from annoseq.serving.security import AsgiApp, Message, Receive, Scope, Send

_CLOSE = {"connection": "close"}


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Largest body in bytes, and longest time in seconds until all of it is there.

    The body of a path in `streamed_paths` may be of any size; the time is that between two pieces.
    """

    max_body: int = 16 * 2**20
    seconds: float = 60.0
    streamed_paths: frozenset[str] = frozenset()

    def check_length(self, scope: Scope) -> None:
        """Raise `HTTPException` if a request announces a body that is too large."""
        for length in header_values(scope, b"content-length"):
            if scope["path"] not in self.streamed_paths and int(length) > self.max_body:
                raise self.too_large()

    def too_large(self) -> HTTPException:
        """Return the error of a body that is too large."""
        return HTTPException(
            413,
            f"the body is larger than {count_noun(self.max_body, 'byte')}. Send the texts in "
            "several requests, or use a path that streams.",
            _CLOSE,
        )

    def too_slow(self) -> HTTPException:
        """Return the error of a body that does not arrive in time."""
        return HTTPException(
            408, f"the body did not arrive within {self.seconds:g} seconds. Send it again.", _CLOSE
        )


@dataclass(frozen=True, slots=True)
class LimitedApp:
    """An ASGI application that gets no body beyond the limits."""

    app: AsgiApp
    limits: RequestLimits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; reading a body beyond the limits raises `HTTPException`."""
        if scope["type"] == "http":
            receive = _LimitedBody(self.limits, scope, receive)
        await self.app(scope, receive, send)


class _LimitedBody:
    """Receives the body of a request within limits."""

    def __init__(self, limits: RequestLimits, scope: Scope, receive: Receive) -> None:
        self._limits, self._scope, self._receive = limits, scope, receive
        self._is_streamed = scope["path"] in limits.streamed_paths
        self._size = 0
        self._deadline: float | None = None
        self._is_complete = False

    async def __call__(self) -> Message:
        if self._is_complete:  # what follows is the end of the connection, whenever that is
            return await self._receive()
        if self._deadline is None:
            self._limits.check_length(self._scope)
        now = asyncio.get_running_loop().time()
        if self._deadline is None or self._is_streamed:
            self._deadline = now + self._limits.seconds
        try:
            message = await asyncio.wait_for(self._receive(), max(self._deadline - now, 0.0))
        except TimeoutError:
            raise self._limits.too_slow() from None
        self._size += len(message.get("body", b""))
        if self._size > self._limits.max_body and not self._is_streamed:
            raise self._limits.too_large()
        self._is_complete = not message.get("more_body", False)
        return message
