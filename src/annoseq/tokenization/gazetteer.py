"""Gazetteer: features of tokens that match a user's lexicons and regular expressions.

A lexicon has an entry in each line: names, places, drugs. Entries are matched as whole tokens,
whatever their case and the white space between them; of entries that begin at the same token the
longest matches. A pattern is a named regular expression of a TOML file; it runs in the `regex`
library with a time limit, so that catastrophic backtracking is an error that names it, not a
process that hangs. The weights of the features are learned.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, compress, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.data.streams import read_toml
from annoseq.errors import OptionError
from annoseq.progress import progress_bar
from annoseq.tokenization.open_gazetteers import describe_sources, read_open_gazetteer
from annoseq.tokenization.pretokenizer import core_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import regex
    from ahocorasick_rs import AhoCorasick
    from numpy.typing import NDArray

    from annoseq.tokenization.batch_pretokenizer import CutTexts

SECONDS = 5.0
"""Time limit of one expression for one text."""


class RegexPattern(BaseModel):
    """A regular expression of the `regex` library."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    ignore_case: bool = False

    def compile(self) -> regex.Pattern[str]:
        """Return the compiled expression.

        Raises:
            ValueError: it is not a regular expression.
        """
        import regex

        try:
            return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)
        except regex.error as error:
            raise ValueError(f"this is not a regular expression: {error}") from error
        except (RecursionError, MemoryError) as error:
            raise ValueError("this is not a regular expression: it is nested too deeply") from error


PatternT = TypeVar("PatternT", bound=RegexPattern)


def find_matches(
    expression: regex.Pattern[str],
    text: str,
    *,
    name: str,
    where: str = "a text",
    seconds: float | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield the non-empty matches of an expression: its group `value`, or else all of it.

    Raises:
        OptionError: it takes too long; `name` names it, and `where` the text.
    """
    seconds = SECONDS if seconds is None else seconds
    group = "value" if "value" in expression.groupindex else 0
    try:
        for match in expression.finditer(text, timeout=seconds):
            start, end = match.span(group)
            if start < end:
                yield start, end
    except TimeoutError as error:
        raise OptionError(
            f"the pattern {name!r} takes more than {seconds:g} seconds on {where}. "
            "Such patterns repeat what repeats, as (a+)+ does: write it without."
        ) from error


def read_regex_patterns(
    path: Path, kind: type[PatternT], *, option: str, example: str
) -> dict[str, PatternT]:
    """Read the fields of `kind` for each expression; `example` is shown in messages.

    `option` is the one that names the file on the command line.

    Raises:
        OptionError: the file cannot be read, or an expression is not valid.
    """
    patterns: dict[str, PatternT] = {}
    for name, table in read_toml(path, option=option).items():
        where = f"{option} {path}: [{name}]"
        if not isinstance(table, dict):
            raise OptionError(f"{where} is no table. Write [{name}], and below it {example}.")
        try:
            patterns[name] = kind.model_validate(table)
            patterns[name].compile()
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            key = ".".join(map(str, fault["loc"]))
            said = fault["msg"].removeprefix("Value error, ")
            raise OptionError(f"{where}: {key}: {said}. Write {example}.") from error
        except ValueError as error:
            raise OptionError(f"{where}: {error}.") from error
    if not patterns:
        raise OptionError(
            f"{option} {path}: there is no pattern in it. Write for each a table [name], and "
            f"below it {example}."
        )
    return patterns


@dataclass(frozen=True)
class LexiconFeatures:
    """Files of lexicons and of regular expressions, and languages of open gazetteers."""

    lexicons: Sequence[Path] = ()
    patterns: Path | None = None
    gazetteers: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.lexicons or self.patterns or self.gazetteers)

    def read(self, *, tokenize: Callable[[str], Sequence[str]]) -> LexiconMatcher:
        """Read the files; `tokenize` splits a text into tokens.

        Raises:
            OptionError: a file cannot be read, two lexicons have the same name, or there is no
                gazetteer of a language.
        """
        lists: dict[str, tuple[str, ...]] = {}
        for language in self.gazetteers:
            for name, entries in read_open_gazetteer(language).items():
                lists[f"{language} {name}"] = tuple(
                    sorted(_fold_entries(entries, tokenize=tokenize))
                )
        for path in self.lexicons:
            if path.stem in lists:
                raise OptionError(
                    f"--lexicon {path}: there is another list named {path.stem}. Rename one."
                )
            lists[path.stem] = read_lexicon(path, tokenize=tokenize)
        return LexiconMatcher(
            lists=lists,
            patterns={} if self.patterns is None else read_patterns(self.patterns),
            sources=describe_sources(self.gazetteers),
        )


_SEPARATOR = "\x1f"
_BETWEEN_WORDS = _SEPARATOR * 2
_PROGRESS_LINES = 10_000


class LexiconMatcher(BaseModel):
    """Lexicons (entries as token sequences, case folded) and patterns, by name.

    `sources` are those of open gazetteers, with their licences.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    lists: dict[str, tuple[str, ...]] = {}
    patterns: dict[str, RegexPattern] = {}
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lists or self.patterns)

    def match(self, texts: Sequence[str], cut: CutTexts) -> dict[int, tuple[str, ...]]:
        """Return the features of the tokens that match, by their places in `cut`.

        A feature is a lexicon or a pattern, and the position in the match.

        Raises:
            OptionError: a pattern takes too long.
        """
        features: defaultdict[int, list[str]] = defaultdict(list)
        for name, places in chain(self._match_lexicons(cut), self._match_patterns(texts, cut)):
            for place, feature in zip(places, _feature_names(name, len(places)), strict=True):
                features[place].append(feature)
        return {place: tuple(names) for place, names in features.items()}

    @cached_property
    def _automaton(self) -> tuple[AhoCorasick, dict[str, NDArray[np.bool_]]]:
        """The automaton of the entries of all lists, and which of them each list has."""
        from ahocorasick_rs import AhoCorasick

        entries = sorted(set(chain.from_iterable(self.lists.values())))
        number = {entry: number for number, entry in enumerate(entries)}
        has = {name: np.zeros(len(entries), np.bool_) for name in self.lists}
        for name, own in self.lists.items():
            has[name][[number[entry] for entry in own]] = True
        return AhoCorasick([f"{_SEPARATOR}{entry}{_SEPARATOR}" for entry in entries]), has

    @cached_property
    def _compiled_patterns(self) -> dict[str, Any]:
        return {name: pattern.compile() for name, pattern in self.patterns.items()}

    def _match_lexicons(self, cut: CutTexts) -> Iterator[tuple[str, Sequence[int]]]:
        """Yield the name of a lexicon and the places of the tokens of an entry."""
        if not self.lists:
            return
        places, text = _join_words(cut)
        is_separator = np.frombuffer(text.encode("utf-32-le"), np.uint32) == ord(_SEPARATOR)
        starts = np.flatnonzero(is_separator[:-1] & ~is_separator[1:])
        ends = np.flatnonzero(~is_separator[:-1] & is_separator[1:]) + 2
        automaton, has = self._automaton
        matches = np.array(automaton.find_matches_as_indexes(text, overlapping=True), np.int64)
        entries, first, last = matches.reshape(-1, 3).T
        first, last = np.searchsorted(starts, first), np.searchsorted(ends, last, side="right")
        longest_first = np.lexsort((-last, first))
        for name, is_own in has.items():
            own = longest_first[is_own[entries[longest_first]]]
            free = 0
            for start, end in zip(first[own].tolist(), last[own].tolist(), strict=True):
                if start >= free:
                    yield f"list {name}", places[start:end]
                    free = end

    def _match_patterns(
        self, texts: Sequence[str], cut: CutTexts
    ) -> Iterator[tuple[str, Sequence[int]]]:
        """Yield the name of a pattern and the places of the tokens of a match."""
        if not self.patterns:
            return
        for index, text in enumerate(texts):
            offsets, shift = cut.of_text(index).offsets, cut.bounds[index]
            cores = [core_start(text, start, end) for start, end in offsets]
            ends = [end for _, end in offsets]
            for name, pattern in self._compiled_patterns.items():
                for start, end in find_matches(pattern, text, name=name):
                    first, last = bisect_right(ends, start), bisect_left(cores, end)
                    if first < last:
                        yield f"pattern {name}", range(shift + first, shift + last)


def _join_words(cut: CutTexts) -> tuple[list[int], str]:
    """Return the places of all tokens but white space, and these tokens as one text, folded.

    A separator is at each end of a token: a match takes both, and leaves the next its own. Between
    texts there are two more, which are in no entry, so that none is found across texts.
    """
    is_word = ~np.fromiter(map(str.isspace, cut.tokens), np.bool_, len(cut.tokens))
    places = np.flatnonzero(is_word)
    words = list(compress(cut.tokens, is_word.tolist()))
    bounds = np.searchsorted(places, cut.bounds).tolist()
    texts = (_BETWEEN_WORDS.join(words[first:last]) for first, last in pairwise(bounds))
    joined = (_BETWEEN_WORDS * 2).join(texts)
    return places.tolist(), _fold_words(f"{_SEPARATOR}{joined}{_SEPARATOR}")


@lru_cache
def _feature_names(name: str, tokens: int) -> tuple[str, ...]:
    """Return the feature of each token of a match: the name, and the position as in BIES."""
    if tokens == 1:
        return (f"{name} single",)
    return (f"{name} begin", *[f"{name} inside"] * (tokens - 2), f"{name} end")


def read_lexicon(path: Path, *, tokenize: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """Read a lexicon, an entry in each line; `tokenize` splits a text into tokens.

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
    lexicon = tuple(sorted(_fold_entries(lines, tokenize=tokenize)))
    if not lexicon:
        raise OptionError(f"--lexicon {path} has no entry. Write one in each line.")
    return lexicon


def _fold_entries(lines: Sequence[str], *, tokenize: Callable[[str], Sequence[str]]) -> set[str]:
    """Return the distinct entries, with a progress bar: a million take several seconds."""
    entries: set[str] = set()
    with progress_bar("reading lexicon", total=len(lines)) as advance:
        for start in range(0, len(lines), _PROGRESS_LINES):
            chunk = lines[start : start + _PROGRESS_LINES]
            entries.update(fold_entry(tokenize(line)) for line in chunk)
            advance(len(chunk))
    entries.discard("")
    return entries


def fold_entry(tokens: Iterable[str]) -> str:
    """Return the tokens of an entry of a list but white space, folded, as they are in a text."""
    words = _BETWEEN_WORDS.join(token for token in tokens if not token.isspace())
    return _fold_words(f"{_SEPARATOR}{words}")[1:]


def _fold_words(text: str) -> str:
    """Return tokens that follow separators, case folded and without the spaces before them."""
    return text.replace(f"{_SEPARATOR} ", _SEPARATOR).casefold()


def read_patterns(path: Path) -> dict[str, RegexPattern]:
    """Read named patterns from a TOML file, which has a table with a `pattern` for each.

    Raises:
        OptionError: the file cannot be read, or a pattern is not valid.
    """
    example = "pattern = 'EXPRESSION', and ignore_case = true if you like"
    return read_regex_patterns(path, RegexPattern, option="--patterns", example=example)
