"""Keyed random numbers: every draw of a run follows from one secret key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from pathlib import Path

_MIN_KEY_BYTES = 16
"""A shorter key can be guessed, and then every surrogate can be undone."""


@dataclass(frozen=True)
class KeyedRng:
    """Random generators seeded with the HMAC-SHA256 of their context under a secret key.

    The draws cannot be repeated without the key. They differ between documents unless
    `is_consistent`.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    is_consistent: bool = False

    @classmethod
    def load(cls, path: Path | None, *, consistent: bool) -> KeyedRng:
        """Read the key from a file, or draw a random one that is never stored.

        Raises:
            OptionError: the file cannot be read, the key is too short, or `consistent` without a
                file.
        """
        if path is None:
            if consistent:
                raise OptionError(
                    "--consistent gives a value the same surrogate in every document, by the "
                    "secret of --key. Give --key FILE."
                )
            return cls()
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise OptionError(
                f"{path}: the key cannot be read: {error.strerror}. Make a key once, and guard it: "
                f"(umask 077; openssl rand -hex 32 > {path})"
            ) from error
        if len(key) < _MIN_KEY_BYTES:
            raise OptionError(
                f"{path}: found a key of {count_noun(len(key), 'byte')}. Use one of at least "
                f"{_MIN_KEY_BYTES}: (umask 077; openssl rand -hex 32 > {path})"
            )
        return cls(key, consistent)

    def seed(self, document: str, *context: str) -> int:
        """Return the 256-bit seed for a context in a document."""
        scope = () if self.is_consistent else (document,)
        digest = hmac.new(self.key, digestmod=hashlib.sha256)
        for item in (str(len(scope)), *scope, *context):
            data = item.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return int.from_bytes(digest.digest(), "big")

    def generator(self, document: str, *context: str) -> Random:
        """Return a random generator for a context in a document."""
        return Random(self.seed(document, *context))
