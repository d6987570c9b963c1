"""What a user's own lists and patterns say of tokens: features whose weight is learned.

A list has an entry in each line: names, places, drugs. An entry is found as whole tokens, whatever
their case and the white space between them, the longest where several begin. A pattern is a regular
expression; the tokens that it covers are marked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from annoseq.errors import OptionError
from annoseq.tokenization.pretokenizer import core_start
from annoseq.tokenization.regex_patterns import RegexPattern, matches, read_regex_patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ahocorasick_rs import AhoCorasick


@dataclass(frozen=True)
class LexiconFeatures:
    """Files of the user's own knowledge: lists, and patterns."""

    lexicons: Sequence[Path] = ()
    patterns: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.lexicons or self.patterns)

    def read(self, *, tokenize: Callable[[str], Sequence[str]]) -> LexiconMatcher:
        """Read the files; `tokenize` splits a text into tokens.

        Raises:
            OptionError: a file cannot be read, or two lists have the same name.
        """
        lists: dict[str, tuple[str, ...]] = {}
        for path in self.lexicons:
            if path.stem in lists:
                raise OptionError(
                    f"--lexicon {path}: there is another list named {path.stem}. Rename one."
                )
            lists[path.stem] = read_list(path, tokenize=tokenize)
        return LexiconMatcher(
            lists=lists, patterns={} if self.patterns is None else read_patterns(self.patterns)
        )


_SEPARATOR = "\x1f"


class LexiconMatcher(BaseModel):
    """Lists (each as token sequences, case folded) and patterns, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    lists: dict[str, tuple[str, ...]] = {}
    patterns: dict[str, RegexPattern] = {}

    def __bool__(self) -> bool:
        return bool(self.lists or self.patterns)

    def match(
        self, text: str, tokens: Sequence[str], offsets: Sequence[tuple[int, int]]
    ) -> list[tuple[str, ...]]:
        """Return the marks of each token: the lists and patterns it is found by, and where in them.

        Raises:
            OptionError: a pattern takes too long.
        """
        found: list[list[str]] = [[] for _ in tokens]
        if self.lists:
            filled = [place for place, token in enumerate(tokens) if not token.isspace()]
            words = [fold(tokens[place]) for place in filled]
            for name, first, last in self._listed(words):
                _mark(found, [filled[i] for i in range(first, last)], f"list {name}")
        if self.patterns:
            cores = [core_start(text, start, end) for start, end in offsets]
            ends = [end for _, end in offsets]
            for name, start, end in self._matched(text):
                places = range(bisect_right(ends, start), bisect_left(cores, end))
                _mark(found, places, f"pattern {name}")
        return [tuple(one) for one in found]

    @cached_property
    def _matchers(self) -> dict[str, AhoCorasick]:
        from ahocorasick_rs import AhoCorasick, MatchKind

        return {
            name: AhoCorasick(
                [f"{_SEPARATOR}{entry}{_SEPARATOR}" for entry in entries],
                matchkind=MatchKind.LeftmostLongest,
            )
            for name, entries in self.lists.items()
            if entries
        }

    @cached_property
    def _expressions(self) -> dict[str, Any]:
        return {name: one.compile() for name, one in self.patterns.items()}

    def _listed(self, words: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """Yield a list's name and the words `first` to `last` (excluded) that it holds."""
        # Two separators between words: a match takes one at each end, and leaves the next its own.
        text = "".join(f"{_SEPARATOR}{word}{_SEPARATOR}" for word in words)
        starts = {}
        place = 0
        for number, word in enumerate(words):
            starts[place] = number
            place += len(word) + 2
        starts[place] = len(words)
        for name, matcher in self._matchers.items():
            for _, start, end in matcher.find_matches_as_indexes(text):
                yield name, starts[start], starts[end]

    def _matched(self, text: str) -> Iterator[tuple[str, int, int]]:
        for name, expression in self._expressions.items():
            for start, end in matches(expression, text, name=name):
                yield name, start, end


def _mark(found: Sequence[list[str]], places: Sequence[int], name: str) -> None:
    """Mark tokens with how they lie in a match."""
    for rank, place in enumerate(places):
        if len(places) == 1:
            kind = "single"
        else:
            kind = "begin" if rank == 0 else "end" if rank == len(places) - 1 else "inside"
        found[place].append(f"{name} {kind}")


def fold(token: str) -> str:
    """Return a token without the space before it, whatever its case."""
    return token.removeprefix(" ").casefold() or token


def read_list(path: Path, *, tokenize: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """Read a list, an entry in each line; `tokenize` splits a text into tokens.

    Raises:
        OptionError: the file cannot be read, or has no entry.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise OptionError(
            f"--lexicon {path}: byte {error.start} is not UTF-8. Save the list as UTF-8."
        ) from error
    except OSError as error:
        raise OptionError(f"--lexicon {path} cannot be read: {error.strerror}.") from error
    entries = (_entry(tokenize(line)) for line in lines)
    found = tuple(sorted({entry for entry in entries if entry}))
    if not found:
        raise OptionError(f"--lexicon {path} has no entry. Write one in each line.")
    return found


def _entry(tokens: Iterable[str]) -> str:
    words = [fold(token) for token in tokens if not token.isspace()]
    return f"{_SEPARATOR}{_SEPARATOR}".join(words)


def read_patterns(path: Path) -> dict[str, RegexPattern]:
    """Read named patterns from a TOML file: for each a table with its `pattern`.

    Raises:
        OptionError: the file cannot be read, or a pattern makes no sense.
    """
    example = "pattern = 'EXPRESSION', and ignore_case = true if you like"
    return read_regex_patterns(path, RegexPattern, option="--patterns", example=example)
