"""How far the scores of a tagger can be trusted, seen on the rows kept from training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from annoseq.config import BatchConfig
from annoseq.decoding.choice import choose
from annoseq.evaluation.evidence import FEWEST
from annoseq.evaluation.gathering import Gathering
from annoseq.pairs.alignment import align_pairs
from annoseq.progress import progress
from annoseq.text.batches import collate_sources, longest_first
from annoseq.text.codec import Example
from annoseq.text.segmentation import tighten
from annoseq.text.tags import text_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.devices import Compute
    from annoseq.evaluation.evidence import Evidence
    from annoseq.models.tagger.tagger import Tagger
    from annoseq.pairs.markup import Span
    from annoseq.pairs.pair import Pair
    from annoseq.text.batches import Batch
    from annoseq.text.tag_codec import TagCodec

_FLOORS = (1e-2, 1e-3, 1e-4, 1e-5)
"""How likely a candidate must be: the lowest of these at which there are not too many.

On MEDDOCAN's dev rows 97.5 % of the gold spans have a candidate of at least 1e-2 that can be kept,
98.2 % at 1e-3, 98.7 % at 1e-4, 99.0 % at 1e-5, and 99.1 % at 1e-6: there are 1.1, 1.5, 2.6, 5 and
12 candidates for each gold span."""
_MOST = 10
"""Candidates to a token: beyond that, as of a network that has learned nothing, they are noise."""
_WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)
"""What is read at once, as an annotator does."""
_CHUNK = 1_000
"""Rows whose candidates are in memory at once."""


@dataclass(frozen=True)
class Judge:
    """A tagger, and what reading with it takes."""

    network: Tagger
    codec: TagCodec
    compute: Compute

    def judge(self, pairs: Sequence[Pair]) -> Evidence | None:
        """Compare the candidates of rows with their gold spans; None where spans are too few."""
        pairs = [pair for pair in pairs if pair.source]
        gold = align_pairs(pairs)
        if sum(map(len, gold)) < FEWEST:
            return None
        self.network.to(self.compute.device).eval()
        gathering = Gathering(floor=self._floor(pairs))
        with progress("calibrating", total=len(pairs)) as advance:
            for start in range(0, len(pairs), _CHUNK):
                chunk = pairs[start : start + _CHUNK]
                found = self._read(chunk, floor=gathering.floor, advance=advance)
                for row, pair in enumerate(chunk):
                    expected = [tighten(pair.source, span) for span in gold[start + row]]
                    gathering.add(expected, *found[row], document=pair.document)
        return gathering.evidence()

    def _floor(self, pairs: Sequence[Pair]) -> float:
        """Look at rows of middling length, and choose how likely a candidate must be."""
        batches = self._batches(pairs[:_CHUNK])
        batch = batches[len(batches) // 2]
        most, chosen = _MOST * int(batch.source_lengths.sum()), _FLOORS[0]
        for floor in _FLOORS[1:]:
            with self.compute.autocast():
                found = self.network.candidates(batch, floor=floor, longest=self.codec.widest)
            if sum(len(one.spans) for one in found) > most:
                break
            chosen = floor
        return chosen

    def _read(
        self, pairs: Sequence[Pair], *, floor: float, advance: Callable[[int], None]
    ) -> dict[int, tuple[list[Span], list[Span]]]:
        """Return of each row the candidates that can stand together, and the likeliest spans."""
        found = {}
        for batch in self._batches(pairs):
            with self.compute.autocast():
                candidates = self.network.candidates(batch, floor=floor, longest=self.codec.widest)
                likeliest = self.network.spans(batch)
            for row, some, best in zip(batch.rows, candidates, likeliest, strict=True):
                text = pairs[row].source
                read = partial(
                    text_spans, text, self.codec.cut(text).offsets, labels=self.codec.labels
                )
                found[row] = (choose(read(some.spans)), read(best.spans))
            advance(len(batch.rows))
        return found

    def _batches(self, pairs: Sequence[Pair]) -> list[Batch]:
        examples = [Example(self.codec.read(pair.source)[1], []) for pair in pairs]
        return [
            collate_sources(rows, examples, has_ends=False).to(self.compute.device)
            for rows in longest_first(examples, _WIDE)
        ]
