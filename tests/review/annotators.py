"""Annotators that mark given words, in place of trained models."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from annoseq.data.markup import Span
from annoseq.inference.annotation import from_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator


class WordAnnotator:
    """Marks every occurrence of a pattern as NAME; knows no marginals."""

    is_translator = False
    tokenizer: Any = None
    predictor = SimpleNamespace(gives_marginals=False, labels=("NAME",))

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    def annotate(self, texts: Sequence[str], *, advance: Callable[[int], None]) -> list[Annotation]:
        advance(len(texts))
        return [
            from_spans(
                text,
                [Span(*match.span(), "NAME", 0.9) for match in self._pattern.finditer(text)],
                score=-float(len(text)),
            windows=1)
            for text in texts
        ]  # fmt: skip


class MarginalAnnotator(WordAnnotator):
    """Knows the coverage scores of words as well: what is not marked has a score of 0.25."""

    predictor = SimpleNamespace(gives_marginals=True, labels=("NAME",))

    def annotate_with_coverage(
        self, texts: Sequence[str], *, advance: Callable[[int], None]
    ) -> list[tuple[Annotation, list[Span]]]:
        found = []
        for annotation in self.annotate(texts, advance=advance):
            spans = annotation.spans or ()
            words = [Span(*m.span(), "NAME", 0.25) for m in re.finditer(r"\w+", annotation.text)]
            outside = [
                word
                for word in words
                if not any(span.start < word.end and word.start < span.end for span in spans)
            ]
            certain = [Span(span.start, span.end, "NAME", 1.0) for span in spans]
            found.append((annotation, [*certain, *outside]))
        return found


def word_annotator(pattern: str, *, has_marginals: bool = False) -> Annotator:
    kind: Any = MarginalAnnotator if has_marginals else WordAnnotator
    return cast("Annotator", kind(pattern))
