"""Hashed features of tokens, the input of the tagger in place of a vocabulary.

Each feature is hashed into a table of its kind by two hash functions, as in floret (Boyd and
Warmerdam 2022), so that two features hardly ever collide in both.

No list of training words is stored: the features of a word are hashed. The hash has no secret key,
so anyone who has the model can test whether a given word was in the training texts. A key would not
prevent that: it would have to be in the model folder too.
"""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from annoseq.kernels import selection as kernels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from annoseq.vectors.lookup import TokenVectors

PRIVACY_NOTE = (
    "No list of training words is stored: the features of a word are hashed. The hash has no "
    "secret key, so anyone who has the model can test whether a given word was in the training "
    "texts."
)
"""Statement on training words in the weights, worded alike in the model card and the docs."""
FEATURE_KINDS = 5
"""Number of kinds of features, each with a table of its own: see `FeatureBags`."""
WORD, NGRAMS = 0, 1
"""The kinds of the lower-cased word and of its n-grams."""
SHAPE_KINDS = (3, 4)
"""Kinds of features that do not depend on the letters of a token: shape, and lexicons."""
_NGRAM_LENGTHS = range(3, 6)
_AFFIX_LENGTHS = range(1, 5)
_LONGEST_SHAPE, _LONGEST_WORD = 10, 12
_MAX_TOKENS = 1 << 17
"""Tokens after which a `FeatureHasher` is cleared, which bounds its memory."""
_LOW_BITS, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MAX_DIGESTS = 1 << 18
"""Digests of features that are kept, as words share most of their n-grams; about 50 MB."""
_Token: TypeAlias = tuple[str, tuple[str, ...]]
"""A token with its lexicon features."""
_Key: TypeAlias = str | _Token
"""A token; those without lexicon features are texts alone."""
_Hashed: TypeAlias = "tuple[NDArray[np.uint64], NDArray[np.int64]]"
"""Digests of the features of one kind, one token after the other, and how many each token has."""
_RUN, _ONCE = re.compile(r"(.)\1+"), r"\1"


class FeatureBags(NamedTuple):
    """Hashed features of W tokens, by kind, as bags for `torch.nn.EmbeddingBag`.

    The kinds are the lower-cased word; its character n-grams; its affixes; its shape, length and
    leading space; and its lexicon features. For each kind, `ids` are the rows of that kind's table
    for all tokens one after the other, and `starts` (W,) the position of each token's first.
    `vectors` (W, V + 1), if a word-vector file is used, are its vectors; the last column is 1 for a
    token without one.
    """

    ids: tuple[NDArray[np.int64], ...]
    starts: tuple[NDArray[np.int64], ...]
    vectors: NDArray[np.float32] | None = None


def table_sizes(buckets: int) -> tuple[int, ...]:
    """Return the number of rows of each kind's table; the table of n-grams has `buckets`."""
    return buckets // 2, buckets, buckets // 4, buckets // 16, buckets // 16


def table_offsets(buckets: int) -> list[int]:
    """Return the first row of each kind's table, if all tables are put one after the other."""
    sizes = table_sizes(buckets)
    return [sum(sizes[:kind]) for kind in range(FEATURE_KINDS)]


def token_features(token: str, lexicon_features: Sequence[str]) -> Iterator[list[str]]:
    """Yield the features of a token, kind by kind."""
    word, is_spaced = _split_space(token)
    lower = word.lower()
    bounded = f"<{lower}>"
    yield [lower]
    yield [bounded[i : i + n] for n in _NGRAM_LENGTHS for i in range(len(bounded) - n + 1)]
    yield [affix for n in _AFFIX_LENGTHS for affix in (f"<{lower[:n]}", f"{lower[-n:]}>")]
    yield _shape_features(word, is_spaced)
    yield list(lexicon_features)


def _split_space(token: str) -> tuple[str, bool]:
    """Return a token without the space that it begins with, and True if there is one."""
    is_spaced = len(token) > 1 and token[0] == " "
    return token[1:] if is_spaced else token, is_spaced


def _shape_features(word: str, is_spaced: bool) -> list[str]:
    shape = word.translate(_SHAPES)
    return [
        f"shape {shape[:_LONGEST_SHAPE]}",
        f"kinds {_without_repetitions(shape)}",
        f"length {min(len(word), _LONGEST_WORD)}",
        f"spaced {is_spaced}",
    ]


class _CharacterShapes(dict[int, str]):
    """Shape of each character by code point, computed when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isupper():
            shape = "X"
        elif character.isalpha():
            shape = "x"
        else:
            shape = "d" if character.isdigit() else character
        self[code] = shape
        return shape


_SHAPES = _CharacterShapes()


@lru_cache(maxsize=1 << 12)
def _without_repetitions(shape: str) -> str:
    return _RUN.sub(_ONCE, shape)


class _FeatureDigests(dict[str, int]):
    """Hash of each feature, of 64 bits, computed when it is first met."""

    def __missing__(self, feature: str) -> int:
        digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[feature] = number = int.from_bytes(digest, "little")
        return number


class _TokenIds(dict[_Key, int]):
    """Id of each token, given when it is first met."""

    def __missing__(self, key: _Key) -> int:
        self[key] = id_ = len(self)
        return id_


class _Bags:
    """Hashes of the features of one kind of all tokens, and where those of each token end."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self._ends = array("q", [0])

    def append(self, digests: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        """Append the features of tokens, of which each has a number of them."""
        ends = len(self._digests) + counts.cumsum()
        self._digests.frombytes(digests.tobytes())
        self._ends.frombytes(ends.tobytes())

    def take(self, ids: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], ...]:
        """Return the rows of a table of some size for tokens (W,), and each token's first."""
        ends = np.frombuffer(self._ends, np.int64)
        counts = ends[ids + 1] - ends[ids]
        firsts = counts.cumsum() - counts
        places = np.arange(counts.sum()) + np.repeat(ends[ids] - firsts, counts)
        digests = np.frombuffer(self._digests, np.uint64)[places]
        rows = np.stack([digests & _LOW_BITS, digests >> _HALF], 1).ravel() % np.uint64(size)
        return rows.astype(np.int64), 2 * firsts


class FeatureHasher:
    """Hashed features of the distinct tokens met so far, by token id.

    A token is a text with its lexicon features. Ids are given in the order of first appearance;
    they are valid for this object only and never saved. `vectors` is a word-vector file, if its
    vectors are features too. `generation` counts the times that all tokens were removed.
    """

    def __init__(self, *, buckets: int, vectors: TokenVectors | None = None) -> None:
        self.vectors = vectors
        self._table_sizes = table_sizes(buckets)
        self._digests = _FeatureDigests()
        self._ids = _TokenIds()
        self._hashed = 0  # tokens
        self._bags = [_Bags() for _ in range(FEATURE_KINDS)]
        self.generation = 0

    def __len__(self) -> int:
        return len(self._ids)

    def token_ids(
        self,
        tokens: Sequence[str],
        lexicon_features: Mapping[int, tuple[str, ...]] | None = None,
    ) -> list[int]:
        """Return the id of each token; features of new tokens are hashed when they are read.

        Lexicon features are those of the tokens at some places.
        """
        keys: list[_Key] = list(tokens)
        for place, features in (lexicon_features or {}).items():
            keys[place] = tokens[place], features
        return list(map(self._ids.__getitem__, keys))

    def clear(self) -> None:
        """Remove all tokens, which invalidates their ids."""
        self._ids.clear()
        self._hashed = 0
        self._bags = [_Bags() for _ in range(FEATURE_KINDS)]
        if self.vectors is not None:
            self.vectors.clear()
        self.generation += 1

    def clear_if_large(self) -> None:
        """Remove all tokens if there are many."""
        if len(self) > _MAX_TOKENS:
            self.clear()

    def bags(self, ids: Iterable[int]) -> FeatureBags:
        """Return the features of the tokens with these ids.

        Raises:
            VectorsError: the file of word vectors is cut off or damaged.
        """
        self._hash_new()
        token_ids = np.fromiter(ids, np.int64)
        rows, starts = zip(
            *(
                bags.take(token_ids, size)
                for bags, size in zip(self._bags, self._table_sizes, strict=True)
            ),
            strict=True,
        )
        vectors = None
        if self.vectors is not None:
            self.read_vectors()
            vectors = self.vectors.take(token_ids.tolist())
        return FeatureBags(rows, starts, vectors)

    def read_vectors(self) -> None:
        """Read the word vectors of all new tokens, if there is a file; fastest for many at once.

        Raises:
            VectorsError: the file is cut off or damaged.
        """
        if self.vectors is not None and len(self.vectors) < len(self):
            self.vectors.add_tokens(self.tokens(start=len(self.vectors)))

    def tokens(self, *, start: int = 0) -> list[str]:
        """Return the tokens whose ids are at least `start`, in the order of their ids."""
        keys = islice(self._ids, start, None)
        return [key if isinstance(key, str) else key[0] for key in keys]

    def _hash_new(self) -> None:
        """Hash the features of all tokens met since this was last done."""
        if self._hashed == len(self):
            return
        keys = [
            (key, ()) if isinstance(key, str) else key
            for key in islice(self._ids, self._hashed, None)
        ]
        hash_tokens = self._hash_compiled if kernels.are_used() else self._hash
        for bags, kind in zip(self._bags, hash_tokens(keys), strict=True):
            bags.append(*kind)
        self._hashed = len(self)

    def _hash(self, keys: Sequence[_Token]) -> list[_Hashed]:
        """Return the digests of the features of tokens, kind by kind, and their numbers."""
        digests = [array("Q") for _ in range(FEATURE_KINDS)]
        counts = np.empty((FEATURE_KINDS, len(keys)), np.int64)
        for place, key in enumerate(keys):
            if len(self._digests) > _MAX_DIGESTS:
                self._digests.clear()
            for kind, features in enumerate(token_features(*key)):
                digests[kind].extend(map(self._digests.__getitem__, features))
                counts[kind, place] = len(features)
        return [(np.array(one, np.uint64), own) for one, own in zip(digests, counts, strict=True)]

    def _hash_compiled(self, keys: Sequence[_Token]) -> list[_Hashed]:
        """Return the same by the compiled kernel, for what depends on the letters of a token."""
        from annoseq.kernels.hash_kernel import hash_words

        split = [_split_space(token) for token, _ in keys]
        hashed = hash_words(
            [word.lower() for word, _ in split],
            ngram_lengths=_NGRAM_LENGTHS,
            longest_affix=_AFFIX_LENGTHS[-1],
        )
        if len(self._digests) > _MAX_DIGESTS:
            self._digests.clear()
        shapes, lexicons = (
            np.fromiter(map(self._digests.__getitem__, features), np.uint64)
            for features in (
                chain.from_iterable(_shape_features(*word) for word in split),
                chain.from_iterable(features for _, features in keys),
            )
        )
        words = len(keys)
        lexicon_counts = np.fromiter((len(features) for _, features in keys), np.int64, words)
        return [
            (hashed.words, np.full(words, 1)),
            (hashed.ngrams, hashed.ngram_counts),
            (hashed.affixes, np.full(words, len(hashed.affixes) // words)),
            (shapes, np.full(words, len(shapes) // words)),
            (lexicons, lexicon_counts),
        ]
