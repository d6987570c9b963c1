"""Limits of requests: the size of a body, and the time that it may take to arrive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from annoseq.errors import count_noun
from annoseq.serving.security import header_values

if TYPE_CHECKING:
    from annoseq.serving.security import AsgiApp, Message, Receive, Scope, Send

_CLOSE = {"connection": "close"}
_READ_OVER = 4
"""Largest body that is read to its end before it is refused, as a multiple of what is allowed."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Largest body in bytes, and longest time in seconds until all of it is there.

    The body of a path in `streamed_paths` may be of any size; the time is that between two pieces.
    """

    max_body: int = 16 * 2**20
    seconds: float = 60.0
    streamed_paths: frozenset[str] = frozenset()

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
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    await send(message)
            except TimeoutError:  # the client does not read
                raise ClientDisconnect from None

        await self.app(scope, _LimitedBody(self.limits, scope, receive), send_in_time)


class _LimitedBody:
    """Receives the body of a request within limits.

    What is refused is read to its end, if that is near: a client that still sends when the
    connection is closed does not see the answer.
    """

    def __init__(self, limits: RequestLimits, scope: Scope, receive: Receive) -> None:
        self._limits, self._receive = limits, receive
        self._is_streamed = scope["path"] in limits.streamed_paths
        self._announced = max(map(int, header_values(scope, b"content-length")), default=0)
        self._awaits_consent = bool(header_values(scope, b"expect"))
        self._size = 0
        self._deadline: float | None = None
        self._is_complete = False

    async def __call__(self) -> Message:
        if self._is_complete:  # what follows is the end of the connection, whenever that is
            return await self._receive()
        if not self._is_streamed and self._announced > self._limits.max_body:
            await self._refuse()
        message = await self._receive_in_time()
        if self._size > self._limits.max_body and not self._is_streamed:
            await self._refuse()
        return message

    async def _receive_in_time(self) -> Message:
        now = asyncio.get_running_loop().time()
        if self._deadline is None or self._is_streamed:
            self._deadline = now + self._limits.seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise self._limits.too_slow() from None
        self._size += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        return message

    async def _refuse(self) -> NoReturn:
        most = _READ_OVER * self._limits.max_body
        if self._announced <= most and not self._awaits_consent:
            while not self._is_complete and self._size <= most:
                await self._receive_in_time()
        raise self._limits.too_large()
