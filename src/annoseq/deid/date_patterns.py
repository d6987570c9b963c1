"""Regular expressions of dates, and of the words and times between them, by language."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from annoseq.deid.calendar_names import CalendarNames
from annoseq.deid.word_lists import alternation, word_lists

_YEAR_DIGITS = r"(?:1[5-9]|2[01])\d\d"
_YEAR = rf"{_YEAR_DIGITS}(?!\d)"
_TWO_DIGITS = r"(?<!\d)\d\d(?!\d)"
_PAST_MONTH = r"(?<!\d)(?:[5-9]\d|00)(?!\d)"
"""Two digits that are neither a day of a month nor one that is impossible, and so are a year."""
ORDINAL = r"(?:(?:st|nd|rd|th)(?![^\W\d_])|er(?![^\W\d_])|[ºª°.])?"
_DAY = r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_NUMBER = r"(?<!\d)\d\d?(?!\d)"
_TIME = re.compile(
    r"t?\d{1,2}(?:[:h]\d{2}){1,2}(?!\d)(?:\.\d+)?"
    r"\s*(?:[ap]\.?m\b\.?|hrs?\b\.?|horas\b|h\b|z\b)?",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[\s.,;:()\[\]/&'’‘\"“”«»‐‑–—~?!*-]")


class DateGrammar(NamedTuple):
    """Patterns of the dates of a language, more specific ones first, and of the words around."""

    language: str
    dates: tuple[re.Pattern[str], ...]
    words: re.Pattern[str]

    def match_context(self, value: str, cursor: int) -> re.Match[str] | None:
        """Match a time, a word or a sign that stands between dates and stays as it is."""
        matches = (pattern.match(value, cursor) for pattern in (_TIME, self.words, _SIGN))
        return next((match for match in matches if match), None)


@cache
def date_grammar(language: str) -> DateGrammar:
    """Compile the patterns of a language."""
    words = word_lists().dates[language]
    context = alternation([*words.connectors, *words.joiners, *words.context])
    return DateGrammar(
        language,
        tuple(re.compile(pattern, re.IGNORECASE) for pattern in _named_date_patterns(language))
        + tuple(re.compile(pattern, re.IGNORECASE) for pattern in _NUMERIC_PATTERNS),
        re.compile(rf"(?<!\w){context}(?:(?<=['’])|(?!\w))", re.IGNORECASE),
    )


def _named_date_patterns(language: str) -> tuple[str, ...]:
    """Return the patterns of dates with the name of a month, a weekday or a season."""
    names = CalendarNames.of(language)
    connector = rf"(?<!\w){alternation(names.words.connectors)}(?:(?<=['’])|(?!\w))\s*"
    joiner = rf"(?<!\w){alternation(names.words.joiners)}(?:(?<=['’])|(?!\w))\s*"
    between = rf"(?:\s*(?:[-/.,]\s*)?(?:{connector})*)"
    separator = rf"\s*(?:[-‐‑–—/&]\s*|(?:,\s*)?{joiner}(?:{connector})*|,\s*)"
    month = rf"(?P<month>{names.pattern(names.months)})"
    days = rf"(?P<days>{_DAY}{ORDINAL}(?:{separator}{_DAY}{ORDINAL})*)"
    # Two digits are no year if they begin a time, a range, a list, or another date.
    other = rf"[:h]|st\b|nd\b|rd\b|th\b|º|{separator}\d|{between}{names.pattern(names.months)}"
    short = rf"{_TWO_DIGITS}(?!{other})"
    year = rf"(?P<year>{_YEAR}(?!/\d)|['’]{_TWO_DIGITS}|{short})"
    marked_year = rf"(?P<year>{_YEAR}(?!/\d)|['’]{_TWO_DIGITS})"
    past_month = rf"(?P<year>{_PAST_MONTH})(?!{other})"
    month_day = rf"{month}{between}(?P<days>{_DAY}{ORDINAL})"
    return (
        rf"{days}{between}{month}{between}{year}",
        rf"{days}{between}{month}",
        rf"{month}-(?P<days>{_DAY})-(?P<year>{short})",
        rf"{month_day}(?:\s*,\s*|\s+)(?P<short>{short})",
        rf"{month}{between}{days}{between}{marked_year}",
        rf"{month}{between}{days}",
        rf"{month}{between}{marked_year}",
        rf"{month}{between}{past_month}",
        rf"(?P<days>{_NUMBER}(?:\s*{joiner}{_NUMBER})+)(?P<s>[-/.])(?P<month>\d\d?)(?P=s)"
        rf"(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
        month,
        rf"(?P<weekday>{names.pattern(names.weekdays)})",
        rf"(?P<season>{names.pattern(names.seasons)}){between}{marked_year}",
        rf"(?P<season>{names.pattern(names.seasons)})",
    )


_NUMERIC_PATTERNS = (
    rf"(?P<year>{_YEAR_DIGITS})(?P<s>\s?[-/.]\s?)(?P<month>\d\d?)(?P=s)(?P<days>\d\d?)(?!\d)"
    r"(?!(?P=s)\d)",
    rf"(?<!\d)(?P<year>{_YEAR_DIGITS})(?P<month>\d\d)(?P<days>\d\d)(?!\d)",
    rf"(?P<days>{_NUMBER}(?:\s?[-‐‑–—]\s?{_NUMBER})+)(?P<s>[/.])(?P<month>\d\d?)"
    rf"(?P=s)(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
    rf"(?P<days>{_NUMBER}\.(?:\s?[-‐‑–—]\s?{_NUMBER}\.)+)\s?(?P<month>\d\d?)"
    rf"(?P<s>\.)\s?(?P<year>{_YEAR}|{_TWO_DIGITS})(?!(?P=s)\d)",
    rf"(?P<month>{_NUMBER})(?P<s>/)(?P<days>{_NUMBER}(?:\s?[-‐‑–—]\s?{_NUMBER})+)(?P=s)"
    rf"(?P<year>{_YEAR})(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})(?P<s>\s?[-/.]\s?)(?P<b>{_NUMBER})(?P=s)(?P<year>{_YEAR}|{_TWO_DIGITS})"
    r"(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})\s(?P<b>{_NUMBER})\s(?P<year>{_YEAR})",
    rf"(?P<month>{_NUMBER})(?P<s>\s?[-/.]\s?)(?P<year>{_YEAR})(?!(?P=s)\d)",
    rf"(?P<year>{_YEAR_DIGITS})(?P<s>[-/])(?P<month>\d\d)(?!\d)(?!(?P=s)\d)",
    rf"(?P<month>{_NUMBER})(?P<s>[-/])(?P<year>{_PAST_MONTH})(?!(?P=s)\d)",
    rf"(?P<a>{_NUMBER})(?P<s>[-/.])(?P<b>{_NUMBER})(?!:|(?P=s)\d)",
    rf"(?<!\d)(?P<year>{_YEAR})",
    rf"['’](?P<year>{_TWO_DIGITS})",
)
