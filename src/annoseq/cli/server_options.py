"""Options of the commands that serve: address, token, names; and the start of the server."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.output import print_note
from annoseq.errors import OptionError
from annoseq.serving.access import TLS_ADVICE, AccessPolicy, is_loopback

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from annoseq.serving.request_limits import RequestLimits
    from annoseq.serving.service_metrics import ServiceMetrics

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
_MAX_PORT = 65_535


def _check_port(_: object, port: int) -> None:
    if not 0 <= port <= _MAX_PORT:
        raise ValueError(f"Give a number from 0 (any free port) to {_MAX_PORT}.")


def check_server_packages(command: str) -> None:
    """Raise `OptionError` if a package of the extra `serve` is missing."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise OptionError(
                f"{command} needs {package}, which is not installed. Run: pip install "
                "'annoseq[serve]'"
            )


@Parameter(name="*", group="Server")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of the address that a server listens on, and of who may use it."""

    host: Annotated[
        str,
        Parameter(
            help="Address to listen on. Only this machine can reach the default; any other needs "
            "--token-file."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Parameter(help="Port to listen on; 0 takes a free one.", validator=_check_port)
    ] = 8000
    token_file: Annotated[
        Path | None,
        Parameter(
            help="File of tokens, one a line, after its holder's name if it has one: every request "
            "then needs one. Nobody but you may read it (chmod 600)."
        ),
    ] = None
    allowed_host: Annotated[
        tuple[str, ...],
        Parameter(
            help="Name that requests may call the server by, such as that of a reverse proxy. Can "
            "be given several times.",
            negative="",
            consume_multiple=False,
            show_default=False,
        ),
    ] = ()

    def access_policy(self) -> AccessPolicy:
        """Return who may use the server.

        Raises:
            OptionError: other machines can reach it, and there is no token, or the token file
                cannot be used, or a name is none.
        """
        return AccessPolicy.choose(
            self.host, token_file=self.token_file, allowed_hosts=self.allowed_host
        )

    def open_socket(self) -> socket.socket:
        """Return the socket to listen on; raises `OptionError` if the port is taken."""
        from annoseq.serving.server import open_socket

        return open_socket(self.host, self.port)

    def run(
        self,
        app: FastAPI,
        access: AccessPolicy,
        listener: socket.socket,
        *,
        limits: RequestLimits | None = None,
        metrics: ServiceMetrics | None = None,
    ) -> None:
        """Serve an application behind the security layer until a signal ends it."""
        from annoseq.serving.server import run_app, secure_app

        if not is_loopback(self.host):
            print_note(TLS_ADVICE)
        secured = secure_app(app, access, limits=limits)
        if metrics is not None:
            secured = metrics.count_requests(secured)
        run_app(secured, listener, on_start=_print_address)
        print_note("stopped")


def _print_address(url: str) -> None:
    print_note(f"serving at {url} (Ctrl-C ends it)")
