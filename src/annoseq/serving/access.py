"""Access policy of a server: the addresses it listens on, the names it answers to, its tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OPEN_PATHS = frozenset({"/health", "/ready"})
"""Paths that need no token: monitors ask for them, and they tell nothing but yes or no."""
_MIN_TOKEN = 16
_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{_MIN_TOKEN},}}")
_NAME = re.compile(r"[\w.@-]{1,60}")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
TLS_ADVICE = (
    "the connection is not encrypted: texts and the token can be read on the way. Put a reverse "
    "proxy with TLS in front (nginx, Caddy), and let only the proxy reach this port."
)


def is_loopback(host: str) -> bool:
    """Return True if only programs of the same machine can reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """SHA-256 of a token, and the name of its holder, if the token file has one."""

    digest: bytes = field(repr=False)
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Names of this server that a request may use, and the tokens, one of which it must carry.

    Without `tokens` none is asked for. With `allows_addresses` a request may name any IP address,
    which DNS rebinding cannot forge. `open_paths` need no token.
    """

    names: frozenset[str] = _LOOPBACK_NAMES
    allows_addresses: bool = False
    tokens: tuple[AccessToken, ...] = ()
    open_paths: frozenset[str] = _OPEN_PATHS

    @classmethod
    def choose(
        cls, host: str, *, token_file: Path | None = None, allowed_hosts: Iterable[str] = ()
    ) -> AccessPolicy:
        """Return the policy of a server that listens on an address.

        `allowed_hosts` are further names that it is called by, such as that of a reverse proxy.

        Raises:
            OptionError: other machines can reach the address, and there is no token; the token file
                can be read by others, or holds no tokens; a name is none.
        """
        if token_file is None and not is_loopback(host):
            raise OptionError(
                f"--host {host} can be reached from other machines, and then a token is needed. "
                "Give --token-file, or leave --host off: then only this machine can reach it."
            )
        names = set(_LOOPBACK_NAMES)
        names.add(f"[{host}]".lower() if ":" in host else host.lower())
        for name in allowed_hosts:
            match = _HOST.fullmatch(name)
            if not match or match["port"]:
                raise OptionError(
                    f"--allowed-host: a value of {count_noun(len(name), 'character')} is no name "
                    "of a host. Give a name such as notes.example.org, without scheme and port."
                )
            names.add(name.lower())
        tokens = () if token_file is None else tuple(read_tokens(token_file))
        return cls(frozenset(names), not is_loopback(host), tokens)

    def accepts_host(self, header: str) -> bool:
        """Return True if the value of a Host header names this server, with any port."""
        match = _HOST.fullmatch(header)
        if match is None:
            return False
        name = match["name"].lower()
        return name in self.names or (self.allows_addresses and _is_address(name.strip("[]")))

    def holder(self, authorization: str) -> AccessToken | None:
        """Return the token that an Authorization header carries, None if it carries none of ours.

        The scheme is Bearer, or Basic with the token as password, which browsers ask for.
        """
        digest = hashlib.sha256(_credential(authorization)).digest()
        found = None
        for token in self.tokens:  # all of them, so that the time does not tell which one matched
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _credential(authorization: str) -> bytes:
    """Return the token of an Authorization header; empty if there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def read_tokens(path: Path) -> Iterator[AccessToken]:
    """Read a token file: a token on each line, after the name of its holder if it has one.

    Empty lines and lines that begin with # are passed over.

    Raises:
        OptionError: the file cannot be read, others than its owner can read or write it, or it
            holds no token, a short one, or one twice.
    """
    tokens: dict[bytes, AccessToken] = {}
    for number, line in enumerate(_read_private(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        *holder, token = words
        if len(holder) > 1 or not all(map(_NAME.fullmatch, holder)) or not _TOKEN.fullmatch(token):
            raise OptionError(
                f"{path}: line {number} holds no token. Write one on each line, of at least "
                f"{_MIN_TOKEN} letters and digits, after a name and a space if you like: "
                "openssl rand -hex 32 makes one."
            )
        digest = hashlib.sha256(token.encode()).digest()
        if digest in tokens:
            raise OptionError(f"{path}: line {number} repeats a token. Give everyone their own.")
        tokens[digest] = AccessToken(digest, holder[0] if holder else None)
    if not tokens:
        raise OptionError(f"{path} holds no token. Run: openssl rand -hex 32 > {path}")
    yield from tokens.values()


def _read_private(path: Path) -> str:
    """Return the content of a file that only its owner can read and write."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise OptionError(
            f"--token-file {path} cannot be read: {error.strerror}. Name a readable file."
        ) from error
    if mode & 0o077:
        raise OptionError(
            f"--token-file {path} can be read or written by others (mode {mode:04o}), and a token "
            f"is a secret. Run: chmod 600 {path}"
        )
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise OptionError(
            f"--token-file {path} is not plain ASCII, from byte {error.start} on. Write tokens of "
            "letters and digits."
        ) from None
