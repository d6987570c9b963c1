"""Running of an application under uvicorn: socket, signals, no log of requests."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from annoseq.errors import OptionError
from annoseq.serving.error_responses import install_error_responses
from annoseq.serving.request_limits import LimitedApp, RequestLimits
from annoseq.serving.security import SecuredApp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI

    from annoseq.serving.access import AccessPolicy
    from annoseq.serving.security import AsgiApp

_BACKLOG = 2_048
_GRACE_SECONDS = 60
"""Longest wait for the requests that were taken when the server is told to end."""
_HEAD_SECONDS = 30.0
"""Longest time until the head of a request is there."""
_MAX_FILES = 65_536
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def secure_app(
    app: FastAPI, access: AccessPolicy, *, limits: RequestLimits | None = None
) -> AsgiApp:
    """Return a FastAPI application behind the security layer, with errors in the house's words.

    Host, Origin and token are checked first, then the size and the pace of the body.
    """
    install_error_responses(app)
    return SecuredApp(LimitedApp(app, limits or RequestLimits()), access)


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes a free one.

    Raises:
        OptionError: the host is not known, or the port is taken or not allowed.
    """
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        # asyncio sets it on sockets of an explicit protocol only: head and body are two packets,
        # and the second would wait 40 ms for the answer to the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except UnicodeError as error:
        raise _unusable(host, port, number=None) from error
    except OSError as error:
        raise _unusable(host, port, number=error.errno) from error


def _unusable(host: str, port: int, *, number: int | None) -> OptionError:
    # The system's numbers of errors are positive, those of the resolver negative.
    is_known = number is not None and number > 0
    reason = os.strerror(number or 0) if is_known else "there is no host of this name"
    return OptionError(
        f"port {port} of {host} cannot be opened: {reason}. Give another with --port, or an "
        "address of this machine with --host."
    )


def socket_url(listener: socket.socket) -> str:
    """Return the address of a listening socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_app(
    app: AsgiApp,
    listener: socket.socket,
    *,
    on_start: Callable[[str], None] = lambda _: None,
    grace_seconds: int = _GRACE_SECONDS,
) -> None:
    """Serve an application until SIGTERM or SIGINT; requests that were taken are finished first.

    `on_start` is told the address once it answers. A second SIGINT ends the server at once, and
    `grace_seconds` after the first signal what is left is cut off.
    """
    config = uvicorn.Config(
        app,
        http=_TimedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
        backlog=_BACKLOG,
    )
    # Its tracebacks say what exceptions say, and that may be a text.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    _raise_file_limit()
    server = _Server(config, lambda: on_start(socket_url(listener)))
    with listener:
        server.run(sockets=[listener])


def _raise_file_limit() -> None:
    """Allow as many open files, and so connections, as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        most = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


class _TimedProtocol(H11Protocol):
    """uvicorn's protocol of a connection, closed if the head of a request stays away."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def _watch_head(self) -> None:
        """Start the timer when a head is awaited, and stop it when it is there."""
        if not getattr(self.cycle, "response_complete", True):  # None before the first head
            self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """uvicorn's server, which a signal ends without an error, and which says when it answers."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals; unlike uvicorn, do not raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
