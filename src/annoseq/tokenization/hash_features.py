"""What the tagger sees of a word: hashed features, so that no list of words is kept.

Each feature is hashed into a table of its kind by two hash functions, as in floret (Boyd and
Warmerdam 2022), so that two features hardly ever share both of their places. Nothing that was
hashed can be read back.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from annoseq.vectors.lookup import TokenVectors

FEATURE_KINDS = 5
"""The kinds of features, each with a table of its own: see `FeatureBags`."""
_GRAMS = range(3, 6)
_AFFIXES = range(1, 5)
_LONGEST_SHAPE, _LONGEST_WORD = 10, 12
_REMEMBERED = 1 << 17
"""Tokens after which `FeatureHasher` makes room: any number of texts may come."""
_Key = str | tuple[str, tuple[str, ...]]
_RUN, _ONCE = re.compile(r"(.)\1+"), r"\1"


class FeatureBags(NamedTuple):
    """The features of some tokens, by kind.

    For each kind (the word itself; its character n-grams; its affixes; its shape, length and the
    space before it; its marks) the places `ids` in that kind's table, and for each token where its
    own begin (`starts`). Where a file of word vectors is read, `vectors` (W, V + 1) are of it; the
    last column is 1 for a token that it has none for.
    """

    ids: tuple[Tensor, ...]
    starts: tuple[Tensor, ...]
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> FeatureBags:
        """Copy to a device."""
        return FeatureBags(
            tuple(one.to(device) for one in self.ids),
            tuple(one.to(device) for one in self.starts),
            None if self.vectors is None else self.vectors.to(device),
        )


def table_sizes(buckets: int) -> tuple[int, ...]:
    """Return how many places the tables of all kinds have, when the n-grams' has `buckets`."""
    return buckets // 2, buckets, buckets // 4, buckets // 16, buckets // 16


def token_features(token: str, marks: Sequence[str]) -> Iterator[list[str]]:
    """Yield the features of a token, kind by kind."""
    is_spaced = len(token) > 1 and token[0] == " "
    word = token[1:] if is_spaced else token
    lower = word.lower()
    shape = "".join(map(_shape_of, word))
    closed = f"<{lower}>"
    yield [lower]
    yield [closed[i : i + n] for n in _GRAMS for i in range(len(closed) - n + 1)]
    yield [text for n in _AFFIXES for text in (f"<{lower[:n]}", f"{lower[-n:]}>")]
    yield [
        f"shape {shape[:_LONGEST_SHAPE]}",
        f"kinds {_RUN.sub(_ONCE, shape)}",
        f"length {min(len(word), _LONGEST_WORD)}",
        f"spaced {is_spaced}",
    ]
    yield list(marks)


def _shape_of(character: str) -> str:
    if character.isupper():
        return "X"
    if character.isalpha():
        return "x"
    return "d" if character.isdigit() else character


class FeatureHasher:
    """Numbers for the different tokens met so far, and their features.

    A token is a text with its marks. The numbers mean something to this object alone and are
    never saved. `vectors` is a file of word vectors, if those are features, too.
    """

    def __init__(self, *, buckets: int, vectors: TokenVectors | None = None) -> None:
        self.vectors = vectors
        self._sizes = table_sizes(buckets)
        self._numbers: dict[_Key, int] = {}
        self._features: list[list[list[int]]] = []
        self.age = 0  # how often all was forgotten

    def __len__(self) -> int:
        return len(self._features)

    def look_up(
        self, tokens: Sequence[str], marks: Sequence[tuple[str, ...]] | None = None
    ) -> list[int]:
        """Return the number of each token; `marks` are what lists and patterns say of it."""
        keys: Iterable[_Key] = tokens
        if marks is not None:
            keys = (
                token if not some else (token, some)
                for token, some in zip(tokens, marks, strict=True)
            )
        known = self._numbers
        return [known[key] if key in known else self._add(key) for key in keys]

    def make_room(self) -> None:
        """Forget all tokens if there are many. Numbers given before mean nothing then."""
        if len(self) > _REMEMBERED:
            self._numbers.clear()
            self._features.clear()
            if self.vectors is not None:
                self.vectors.forget()
            self.age += 1

    def bags(self, numbers: Iterable[int]) -> FeatureBags:
        """Return the features of the tokens with these numbers.

        Raises:
            VectorsError: the file of word vectors is cut off or damaged.
        """
        numbers = list(numbers)
        chosen = [self._features[number] for number in numbers]
        ids, starts = [], []
        for kind in range(FEATURE_KINDS):
            lengths = torch.tensor([0, *(len(one[kind]) for one in chosen)])
            starts.append(lengths.cumsum(0)[:-1])
            flat = [id_ for one in chosen for id_ in one[kind]]
            ids.append(torch.tensor(flat, dtype=torch.long))
        vectors = None
        if self.vectors is not None:
            self.read_vectors()
            vectors = torch.from_numpy(self.vectors.take(numbers))
        return FeatureBags(tuple(ids), tuple(starts), vectors)

    def read_vectors(self) -> None:
        """Read the vectors of all tokens met, if there is a file: together that is soon done.

        Raises:
            VectorsError: the file is cut off or damaged.
        """
        if self.vectors is not None and len(self.vectors) < len(self):
            new = islice(self._numbers, len(self.vectors), None)
            self.vectors.meet(key if isinstance(key, str) else key[0] for key in new)

    def _add(self, key: _Key) -> int:
        token, marks = (key, ()) if isinstance(key, str) else key
        self._numbers[key] = number = len(self._features)
        self._features.append(
            [
                [id_ for text in of_kind for id_ in _places(text, size)]
                for of_kind, size in zip(token_features(token, marks), self._sizes, strict=True)
            ]
        )
        return number


def _places(feature: str, size: int) -> tuple[int, int]:
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (
        int.from_bytes(digest[:4], "little") % size,
        int.from_bytes(digest[4:], "little") % size,
    )
