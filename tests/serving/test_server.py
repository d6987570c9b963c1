from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from annoseq.errors import OptionError
from annoseq.serving.server import _TimedProtocol, open_socket, socket_url

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import asyncio, sys
from fastapi import FastAPI
from annoseq.serving.access import AccessPolicy
from annoseq.serving.server import open_socket, run_app, secure_app

app = FastAPI(openapi_url=None)

@app.get("/slow")
async def slow() -> str:
    print("taken", flush=True)
    await asyncio.sleep(0.5)
    return "done"

with open_socket("127.0.0.1", 0) as listener:
    run_app(secure_app(app, AccessPolicy()), listener, on_start=lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as it:
        yield it
        it.kill()


def test_no_answer_waits_for_the_acknowledgement_of_its_head() -> None:
    with open_socket("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.e2e
def test_a_signal_ends_the_server_after_what_it_took(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    client = subprocess.Popen(
        [sys.executable, "-c", f"from urllib.request import urlopen as u; "
         f"print(u('{url}/slow').read().decode())"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout.readline() == "taken\n"
    server.send_signal(signal.SIGTERM)
    assert client.communicate(timeout=20)[0] == '"done"\n'
    assert server.stdout.readline() == "ended\n"
    assert server.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annoseq.serving.server._HEAD_SECONDS", 0.01)

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError

    async def run() -> bytes:
        config = uvicorn.Config(app, http=_TimedProtocol, lifespan="off", log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        state = ServerState()
        listener = await loop.create_server(
            lambda: _TimedProtocol(config, state, {}, _loop=loop), "127.0.0.1", 0
        )
        async with listener:
            reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: ")
            received = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return received

    assert asyncio.run(run()) == b""


def test_a_port_that_is_taken_is_an_error() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert socket_url(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(OptionError) as error:
            open_socket("127.0.0.1", port)
    assert str(error.value) == (
        f"port {port} of 127.0.0.1 cannot be opened: Address already in use. Give another with "
        "--port, or an address of this machine with --host."
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 100])
def test_an_address_of_no_machine_or_of_another_is_an_error(host: str) -> None:
    with pytest.raises(OptionError, match="cannot be opened"):
        open_socket(host, 0)


def test_an_address_of_ipv6_has_brackets() -> None:
    with open_socket("::1", 0) as listener:
        assert socket_url(listener).startswith("http://[::1]:")
