"""Over-redaction: tokens outside of identifiers that are marked, and the words among them.

What is marked outside of gold spans is clinical text that a reader of the redacted texts loses.
Tokens are those of `deid_metrics`. Words are text of the corpus: they are counted only where they
are asked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from annoseq.evaluation.deid_metrics import TOKEN, covered_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.deid_metrics import TextRange


class LostWord(BaseModel):
    """A word in lower case, and how often it is marked outside of identifiers, and left there."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    word: str
    lost: int
    kept: int


@dataclass
class OverRedactionCounts:
    """Counts of tokens outside of identifiers; `counts_words` also counts the words among them."""

    counts_words: bool = False
    other_tokens: int = 0
    lost_tokens: int = 0
    lost_words: Counter[str] = field(default_factory=Counter)
    kept_words: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, gold: Iterable[TextRange], marked: Iterable[TextRange]) -> None:
        """Count a text with the spans of its identifiers and those that are marked."""
        for token, is_lost in other_tokens(text, gold, marked):
            self.other_tokens += 1
            self.lost_tokens += is_lost
            if self.counts_words and token[0].isalpha():
                words = self.lost_words if is_lost else self.kept_words
                words[token.casefold()] += 1

    @property
    def share(self) -> float:
        """Share of the tokens outside of identifiers that are marked."""
        return self.lost_tokens / self.other_tokens if self.other_tokens else 0.0

    def worst_words(self, number: int) -> list[LostWord]:
        """Return the words that are lost most often, most often first."""
        ranked = sorted(self.lost_words.items(), key=lambda item: (-item[1], item[0]))
        return [
            LostWord(word=word, lost=lost, kept=self.kept_words[word])
            for word, lost in ranked[:number]
        ]


def other_tokens(
    text: str, gold: Iterable[TextRange], marked: Iterable[TextRange]
) -> Iterator[tuple[str, bool]]:
    """Yield the tokens that touch no gold span, and True for those that a marked span touches."""
    gold_characters = covered_characters(text, gold)
    marked_characters = covered_characters(text, marked)
    for token in TOKEN.finditer(text):
        places = range(*token.span())
        if gold_characters.isdisjoint(places):
            yield token[0], not marked_characters.isdisjoint(places)


def find_lost_words(rows: Sequence[SpanComparison], number: int) -> list[LostWord]:
    """Return the words outside of gold spans that predicted spans mark most often."""
    counts = OverRedactionCounts(counts_words=True)
    for row in rows:
        counts.add(row.text, row.gold, row.predicted)
    return counts.worst_words(number)
