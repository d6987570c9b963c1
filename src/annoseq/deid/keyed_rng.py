"""The secret that all draws come from: random for each run, or read from a key file."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

_LEAST = 16
"""Bytes of a key. A shorter one can be guessed, and with it every surrogate undone."""


@dataclass(frozen=True)
class Secret:
    """Draws that nobody repeats without the key.

    They differ from document to document, unless `is_consistent`.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    is_consistent: bool = False

    @classmethod
    def load(cls, path: Path | None, *, consistent: bool) -> Secret:
        """Read a key file, or draw a key that is forgotten afterwards.

        Raises:
            OptionError: the file cannot be read or is too short, or there is none to be
                consistent by.
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
        if len(key) < _LEAST:
            raise OptionError(
                f"{path}: found a key of {len(key)} bytes. Use one of at least {_LEAST}: "
                f"(umask 077; openssl rand -hex 32 > {path})"
            )
        return cls(key, consistent)

    def number(self, document: str, *words: str) -> int:
        """Return the secret number of some words in a document."""
        scope = () if self.is_consistent else (document,)
        digest = hmac.new(self.key, digestmod=hashlib.sha256)
        for word in (str(len(scope)), *scope, *words):
            data = word.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        return int.from_bytes(digest.digest(), "big")

    def random(self, document: str, *words: str) -> Random:
        """Return a generator of draws for some words in a document."""
        return Random(self.number(document, *words))
