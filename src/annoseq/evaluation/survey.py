"""A first look at a gold table, and at the texts that a model was trained on."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from annoseq.pairs.markup import Tag, scan
from annoseq.pairs.pairs import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.pairs.pair import Pair


class Survey(NamedTuple):
    """The labels, the number and the fingerprint of some pairs."""

    labels: frozenset[str]
    rows: int
    fingerprint: str


def survey(pairs: Iterable[Pair]) -> Survey:
    """Read pairs once, keeping none."""
    labels: set[str] = set()
    rows = 0

    def watched() -> Iterator[Pair]:
        nonlocal rows
        for pair in pairs:
            rows += 1
            if "{{" in pair.target:
                labels.update(one.label for one in scan(pair.target) if isinstance(one, Tag))
            yield pair

    digest = fingerprint(watched())
    return Survey(frozenset(labels), rows, digest)


class SeenTexts:
    """Knows texts again; keeps eight bytes of each, not the texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._digests = set(map(_digest, texts))

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self._digests


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
