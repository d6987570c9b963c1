"""Keyed random numbers: every draw follows from one secret key and the context of the draw."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from pathlib import Path

_MIN_KEY_BYTES = 32
"""Length of the output of SHA-256. A shorter key can be guessed, and then every surrogate can be
undone."""


@dataclass(frozen=True)
class KeyedRng:
    """Random generators seeded with the HMAC-SHA-256 of a context under a secret key (RFC 2104).

    The draws cannot be repeated without the key, and those of one context tell nothing of those of
    another.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(_MIN_KEY_BYTES), repr=False)

    @classmethod
    def load(cls, path: Path | None) -> KeyedRng:
        """Read the key from a file, or draw a random one that is never stored.

        The line break at the end of a text is no part of the key; of a raw key every byte is.

        Raises:
            OptionError: the file cannot be read, others than its owner may read it, or the key is
                too short.
        """
        if path is None:
            return cls()
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            key = _without_line_break(path.read_bytes())
        except OSError as error:
            raise OptionError(
                f"{path}: the key cannot be read: {error.strerror}. Make a key once, and guard it: "
                f"(umask 077; openssl rand -hex 32 > {path})"
            ) from error
        if mode & 0o077 and os.name != "nt":
            raise OptionError(
                f"{path}: found the mode {mode:04o}: others than the owner can read or write this "
                f"key, which undoes surrogates. Type chmod 600 {path}, and make a new key if "
                "somebody may have read it."
            )
        length = len(key) if key.strip() else 0  # white space alone is no key
        if length < _MIN_KEY_BYTES:
            raise OptionError(
                f"{path}: found a key of {count_noun(length, 'byte')}. Use one of at least "
                f"{_MIN_KEY_BYTES}: (umask 077; openssl rand -hex 32 > {path})"
            )
        return cls(key)

    def digest(self, *context: str) -> bytes:
        """Return the keyed hash of a context, whose items cannot run into each other."""
        digest = hmac.new(self.key, digestmod=hashlib.sha256)
        for item in context:
            data = item.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()

    def generator(self, *context: str) -> Random:
        """Return a random generator for a context."""
        return Random(int.from_bytes(self.digest(*context), "big"))

    @property
    def fingerprint(self) -> str:
        """Name of the key: it tells keys apart, and does not give them away."""
        return self.digest("fingerprint").hex()[:16]


def _without_line_break(content: bytes) -> bytes:
    """Drop the line breaks at the end of a text."""
    text = content.rstrip(b"\r\n")
    try:
        is_text = all(line.rstrip("\r").isprintable() for line in text.decode().split("\n"))
    except UnicodeDecodeError:
        is_text = False
    return text if is_text else content
