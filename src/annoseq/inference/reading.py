"""A text as a model reads it: in tokens, and in windows if it is long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.decoding.sliding_window import Window, cut_windows, merge_windows
from annoseq.inference.annotation import from_edits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.evaluation.recall_thresholds import Thresholds
    from annoseq.inference.annotation import Annotation
    from annoseq.tokenization.bioes import ScoredTokenSpans
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer


@dataclass(frozen=True, slots=True)
class Reading:
    """A text's tokens by place and id, and the windows that they are read in."""

    text: str
    offsets: list[tuple[int, int]]
    ids: list[int]
    windows: list[Window]

    @classmethod
    def of(cls, text: str, tokenizer: Seq2SeqTokenizer | TaggerTokenizer) -> Reading:
        """Cut a text."""
        cut, ids = tokenizer.encode_text(text)
        return cls(text, cut.offsets, ids, cut_windows(cut.tokens, tokenizer.length_stats))

    def window(self, index: int) -> list[int]:
        """Return the ids of a window."""
        window = self.windows[index]
        return self.ids[window.first : window.last]

    def assemble(
        self,
        found: Sequence[Sequence[ScoredTokenSpans]],
        *,
        labels: Sequence[str],
        thresholds: Thresholds | None = None,
    ) -> Iterator[Annotation]:
        """Join what was `found` in the windows: the i-th output of each makes the i-th of the text.

        A window with fewer outputs than others takes part with its last. With `thresholds`, the
        spans found are candidates, of which those are chosen that are likely enough.
        """
        for rank in range(max(map(len, found), default=1)):
            outputs = [some[min(rank, len(some) - 1)] for some in found]
            yield from_edits(
                self.text,
                self.offsets,
                merge_windows(
                    self.windows,
                    [one.spans for one in outputs],
                    may_cross=thresholds is not None,
                ),
                labels=labels,
                thresholds=thresholds,
                score=sum((one.score for one in outputs), 0.0),
                windows=len(self.windows),
            )
