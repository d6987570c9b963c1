from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.errors import OptionError
from annoseq.tokenization import gazetteer
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.gazetteer import (
    LexiconFeatures,
    LexiconMatcher,
    RegexPattern,
    find_matches,
    fold_entry,
    read_lexicon,
    read_patterns,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PRE_TOKENIZER = BatchPreTokenizer(joins_digits=True)


def cut(text: str) -> list[str]:
    return _PRE_TOKENIZER.cut([text]).tokens


def marked(lexicon_matcher: LexiconMatcher, text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tokens of a text that have marks."""
    cut = _PRE_TOKENIZER.cut([text])
    return [
        (cut.tokens[place], some)
        for place, some in sorted(lexicon_matcher.match([text], cut).items())
    ]


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "places.txt"
    lines = ["\ufeffYork", "New York", "", " St.  Mary's ", "York\r", "Straße", "H\u00f4tel 7"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def lists(path: Path) -> LexiconMatcher:
    return LexiconFeatures([path]).read(tokenize=cut)


def test_entries_are_found_whatever_their_case_and_the_white_space_in_them(listing: Path) -> None:
    lexicon_matcher = lists(listing)
    assert marked(lexicon_matcher, "in york,NEW\n\tYork") == [
        (" york", ("list places single",)),
        ("NEW", ("list places begin",)),
        ("York", ("list places end",)),
    ]
    assert marked(lexicon_matcher, "st. mary's") == [
        ("st", ("list places begin",)),
        (".", ("list places inside",)),
        (" mary", ("list places inside",)),
        ("'", ("list places inside",)),
        ("s", ("list places end",)),
    ]
    assert [token for token, _ in marked(lexicon_matcher, "STRASSE 7 hôtel 7")] == [
        "STRASSE",
        " hôtel",
        " 7",
    ]


def test_the_longest_entry_is_found_and_so_is_the_one_right_after_it(listing: Path) -> None:
    found = marked(lists(listing), "New York York New York")
    assert [some[0].removeprefix("list places ") for _, some in found] == [
        *("begin", "end", "single", "begin", "end")
    ]


def test_no_entry_is_found_across_texts(listing: Path) -> None:
    texts = ["in New", "York", "", "New York"]
    cut = _PRE_TOKENIZER.cut(texts)
    found = lists(listing).match(texts, cut)
    assert {place: (cut.tokens[place], some) for place, some in found.items()} == {
        2: ("York", ("list places single",)),
        3: ("New", ("list places begin",)),
        4: (" York", ("list places end",)),
    }


_WORDS = ["New", "York", "new", "Mary's", "St", ".", "Straße", "STRASSE", "\n", "\x1f", "7"]


@given(
    st.lists(st.lists(st.sampled_from(_WORDS), max_size=8).map(" ".join), max_size=4),
    st.lists(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map(" ".join), max_size=6),
)
def test_the_longest_of_the_leftmost_entries_are_found(texts: list[str], lines: list[str]) -> None:
    entries = sorted({fold_entry(cut(line)) for line in lines} - {""})
    tokens_of_texts = _PRE_TOKENIZER.cut(texts)
    found = LexiconMatcher(lists={"some": tuple(entries)}).match(texts, tokens_of_texts)
    expected: dict[int, str] = {}
    for first, last in pairwise(tokens_of_texts.bounds):
        places = [n for n in range(first, last) if not tokens_of_texts.tokens[n].isspace()]
        while places:
            longest = max(
                size
                for size in range(len(places) + 1)
                if not size
                or fold_entry(tokens_of_texts.tokens[n] for n in places[:size]) in entries
            )
            ranks = ["begin", *["inside"] * (longest - 2), "end"] if longest > 1 else ["single"]
            expected |= dict(zip(places[:longest], ranks, strict=False))
            places = places[max(longest, 1) :]
    assert found == {place: (f"list some {rank}",) for place, rank in expected.items()}


def test_entries_are_whole_tokens(listing: Path) -> None:
    assert marked(lists(listing), "Yorkshire newyork New-York") == [
        ("York", ("list places single",))
    ]
    assert marked(lists(listing), "") == []


@pytest.mark.parametrize("separator", ["\x1f", "\x1f\x1f", "\x1e", "\u2003"])
def test_separators_in_a_text_are_white_space(listing: Path, separator: str) -> None:
    found = marked(lists(listing), f"{separator}New{separator}York{separator}😀York")
    assert [token for token, _ in found] == ["New", "York", "York"]


def test_tokens_are_folded() -> None:
    assert fold_entry([" Ames", "ÀB", " ", " \u0301", "ß", "\n"]).split("\x1f\x1f") == [
        *("ames", "àb", "\u0301", "ss")
    ]


def test_several_lists_mark_the_same_token(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("Ames\n")
    lexicon_matcher = LexiconFeatures([tmp_path / "one", tmp_path / "two"]).read(tokenize=cut)
    assert marked(lexicon_matcher, "Ames") == [("Ames", ("list one single", "list two single"))]


def test_patterns_mark_all_tokens_that_they_cover() -> None:
    patterns = {
        "mrn": RegexPattern(pattern=r"MRN \d+-\d+", ignore_case=True),
        "any": RegexPattern(pattern=r"(?=x)|z"),
        "half": RegexPattern(pattern=r"bcd"),
    }
    lexicon_matcher = LexiconMatcher(patterns=patterns)
    assert marked(lexicon_matcher, "x mrn 12-3, y z abcde") == [
        (" mrn", ("pattern mrn begin",)),
        (" 12", ("pattern mrn inside",)),
        ("-", ("pattern mrn inside",)),
        ("3", ("pattern mrn end",)),
        (" z", ("pattern any single",)),
        (" abcde", ("pattern half single",)),
    ]


def test_white_space_before_a_word_is_not_the_word() -> None:
    lexicon_matcher = LexiconMatcher(patterns={"space": RegexPattern(pattern=r"\s")})
    assert marked(lexicon_matcher, "a b\tc") == [("\t", ("pattern space single",))]


def test_many_matches_in_a_long_text_take_no_longer_than_the_text() -> None:
    lexicon_matcher = LexiconMatcher(patterns={"word": RegexPattern(pattern=r"\w+")})
    began = time.process_time()
    assert len(marked(lexicon_matcher, "word " * 4_000)) == 4_000
    assert time.process_time() - began < 1


def test_a_pattern_that_takes_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gazetteer, "find_matches", partial(find_matches, seconds=0.05))
    lexicon_matcher = LexiconMatcher(patterns={"mrn": RegexPattern(pattern=r"(a|aa)+$")})
    with pytest.raises(OptionError) as caught:
        marked(lexicon_matcher, "a" * 60 + "b")
    assert str(caught.value) == (
        "the pattern 'mrn' takes more than 0.05 seconds on a text. "
        "Such patterns repeat what repeats, as (a+)+ does: write it without."
    )


def refusal(lexicon_features: LexiconFeatures) -> str:
    with pytest.raises(OptionError) as caught:
        lexicon_features.read(tokenize=cut)
    return str(caught.value)


def test_reading_shows_the_lines_that_were_read(
    listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int | None]] = []
    read: list[int] = []

    @contextmanager
    def fake_bar(description: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
        shown.append((description, total))
        yield read.append

    monkeypatch.setattr(gazetteer, "progress_bar", fake_bar)
    monkeypatch.setattr(gazetteer, "_PROGRESS_LINES", 3)
    assert len(read_lexicon(listing, tokenize=cut)) == 5
    assert shown == [("reading lexicon", 7)]
    assert read == [3, 3, 1]


def test_lists_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    none, blank, bad = (tmp_path / name for name in ("none.txt", "blank.txt", "bad.txt"))
    blank.write_text(" \n\n\t\n")
    bad.write_bytes(b"Ames\n\xff")
    assert refusal(LexiconFeatures([none])) == (
        f"--lexicon {none} cannot be read: No such file or directory."
    )
    assert (
        refusal(LexiconFeatures([tmp_path]))
        == f"--lexicon {tmp_path} cannot be read: Is a directory."
    )
    assert (
        refusal(LexiconFeatures([blank]))
        == f"--lexicon {blank} has no entry. Write one in each line."
    )
    assert refusal(LexiconFeatures([bad])) == (
        f"--lexicon {bad}: byte 5 is not UTF-8. Save the list as UTF-8."
    )
    other = tmp_path / "other"
    other.mkdir()
    for folder in (tmp_path, other):
        (folder / "same.txt").write_text("Ames")
    twice = LexiconFeatures([tmp_path / "same.txt", other / "same.txt"])
    assert refusal(twice) == (
        f"--lexicon {other / 'same.txt'}: there is another list named same. Rename one."
    )


HOW = "pattern = 'EXPRESSION', and ignore_case = true if you like."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[mrn", "this is not TOML: Expected ']' at the end of a table declaration "
         "(at end of document)."),
        ("a = \xff", "this is not UTF-8 text. Save it as UTF-8."),
        ("", f"there is no pattern in it. Write for each a table [name], and below it {HOW}"),
        ("[mrn]\npattern = '('",
         "[mrn]: this is not a regular expression: missing ) at position 1."),
        ("[mrn]\nignore_case = true", f"[mrn]: pattern: Field required. Write {HOW}"),
        ("[mrn]\npattern = 'a'\nflags = 1",
         f"[mrn]: flags: Extra inputs are not permitted. Write {HOW}"),
        ("mrn = 'a'", f"[mrn] is no table. Write [mrn], and below it {HOW}"),
    ],
)  # fmt: skip
def test_patterns_that_make_no_sense_are_refused(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mrn.toml"
    path.write_bytes(content.encode("latin-1"))
    assert refusal(LexiconFeatures((), path)) == f"--patterns {path}: {message}"


def test_patterns_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refusal(LexiconFeatures((), path)) == (
        f"--patterns {path} cannot be read: No such file or directory. "
        "Name a file that can be read."
    )


def test_what_was_read_survives_its_file(listing: Path, tmp_path: Path) -> None:
    path = tmp_path / "mrn.toml"
    path.write_text("[mrn]\npattern = '[A-Z]-\\d+'\n[dose]\npattern = 'MG'\nignore_case = true\n")
    assert read_patterns(path) == {
        "mrn": RegexPattern(pattern=r"[A-Z]-\d+"),
        "dose": RegexPattern(pattern="MG", ignore_case=True),
    }
    lexicon_matcher = LexiconFeatures([listing], path).read(tokenize=cut)
    assert bool(lexicon_matcher)
    assert not LexiconMatcher()
    again = LexiconMatcher.model_validate_json(lexicon_matcher.model_dump_json())
    assert again == lexicon_matcher
    assert read_lexicon(listing, tokenize=cut) == again.lists["places"]
    text = "New York A-1 5 mg"
    assert marked(again, text) == marked(lexicon_matcher, text)
    assert len(marked(lexicon_matcher, text)) == 6


def test_a_pattern_that_is_nested_too_deeply_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "patterns.toml"
    path.write_text(f"[deep]\npattern = '{'(' * 50_000}a{')' * 50_000}'\n")
    with pytest.raises(OptionError, match=r"\[deep\]: .*it is nested too deeply"):
        read_patterns(path)
