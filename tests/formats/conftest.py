"""Guard of all tests of formats: no file may make annoseq use the network."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a file made annoseq look for the network")

    monkeypatch.setattr(socket, "socket", refuse)
