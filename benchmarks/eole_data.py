"""Pairs of MEDDOCAN in the format of eole, and metrics of the outputs of either system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.data.examples import parse_pairs
from annoseq.data.markup import closing, opening, parse, strip_tags
from annoseq.data.pairs import Pairs
from annoseq.errors import MarkupError, OptionError
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.tokenization.linearize import align_to_tokens, delinearize, linearize
from annoseq.tokenization.pretokenizer import build_pretokenizer
from benchmarks import eole_peer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from annoseq.data.markup import Span


@dataclass(frozen=True, slots=True)
class Tokens:
    """Source and target tokens in the format of eole."""

    source: list[list[str]]
    target: list[list[str]]

    def count(self, rows: Sequence[int] | None = None) -> int:
        """Return the number of target tokens of rows, end symbols included."""
        chosen = range(len(self.target)) if rows is None else rows
        return sum(len(self.target[row]) + 1 for row in chosen)


def to_eole_tokens(pairs: Pairs) -> Tokens:
    """Tokenize pairs into words, with each tag as one token, and write them without spaces."""
    rule = build_pretokenizer()
    source: list[list[str]] = []
    target: list[list[str]] = []
    for example in parse_pairs(pairs, task="annotate").examples:
        cut = rule.pre_tokenize_str(example.source)
        spelled = [eole_peer.write_token(token) for token, _ in cut]
        aligned_spans, *_ = align_to_tokens(
            example.source, [offsets for _, offsets in cut], example.spans or ()
        )
        source.append(spelled)
        target.append(linearize(spelled, aligned_spans))
    return Tokens(source, target)


def from_eole_tokens(tokens: Sequence[str], *, tags: Collection[str]) -> str:
    """Join tokens to annotated text, which may be malformed."""
    read = [token if token in tags else eole_peer.read_token(token) for token in tokens]
    return delinearize(read, tags=tags)


def tags_of(pairs: Pairs) -> frozenset[str]:
    """Return the tags of every label in pairs."""
    examples = parse_pairs(pairs, task="annotate").examples
    labels = {span.label for example in examples for span in example.spans or ()}
    return frozenset(tag for label in labels for tag in (opening(label), closing(label)))


def select_short(pairs: Pairs, *, max_tokens: int, first: int) -> Pairs:
    """Keep the first rows that have 1 to `max_tokens` word tokens.

    Raises:
        OptionError: there is none.
    """
    rule = build_pretokenizer()
    kept = [one for one in pairs if 0 < len(rule.pre_tokenize_str(one.source)) <= max_tokens]
    if not kept:
        raise OptionError(f"no dev row has 1 to {max_tokens} tokens. Raise --max-tokens.")
    return Pairs(kept[:first], name=pairs.name)


@dataclass(frozen=True, slots=True)
class Quality:
    """Metrics of outputs compared with pairs."""

    rows: int
    unchanged: int
    malformed: int
    exact: int
    spans: SpanScore


def evaluate_outputs(outputs: Sequence[str], pairs: Pairs) -> Quality:
    """Compare annotated texts with the sources and targets of pairs, code point by code point.

    Malformed outputs contribute no spans; those of others count where they lie in the output.
    """
    score = SpanScore()
    unchanged = malformed = exact = 0
    examples = parse_pairs(pairs, task="annotate").examples
    for output, example in zip(outputs, examples, strict=True):
        spans: list[Span] = []
        try:
            spans = parse(output)[1]
        except MarkupError:
            malformed += 1
        unchanged += strip_tags(output) == example.source
        exact += output == example.target
        score += score_spans(spans, example.spans or ())
    return Quality(len(pairs), unchanged, malformed, exact, score)
