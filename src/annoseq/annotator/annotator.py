"""A trained model, ready to annotate texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from annoseq.annotator.annotation import Annotation, from_edits, from_output
from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.decoding.faithful import Edits, Faithful, edited_spans
from annoseq.decoding.search import search
from annoseq.decoding.windows import TokenSpan, Window, cut_windows, stitch
from annoseq.devices import Compute
from annoseq.models.folder import TrainedModel
from annoseq.progress import progress
from annoseq.text.batches import collate, longest_first
from annoseq.text.codec import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.decoding.hypothesis import Hypothesis
    from annoseq.models.stepper import State, Stepper
    from annoseq.text.batches import Batch


class _Reading(NamedTuple):
    """A text cut into tokens, and the windows that it is read in."""

    text: str
    offsets: list[tuple[int, int]]
    ids: list[int]
    windows: list[Window]

    def example(self, index: int) -> Example:
        """Return a window in ids."""
        window = self.windows[index]
        return Example(self.ids[window.first : window.last], [])


class Annotator:
    """A trained model, ready to annotate."""

    def __init__(self, model: TrainedModel, *, device: DeviceConfig | None = None) -> None:
        self.model = model
        self.compute = Compute.choose(device)
        self._network = model.network.to(self.compute.device).eval()
        self._edits = Edits.of(model.codec).to(self.compute.device)

    @classmethod
    def load(cls, folder: str | Path, *, device: DeviceConfig | None = None) -> Annotator:
        """Read a model folder.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
        """
        return cls(TrainedModel.load(folder), device=device)

    @property
    def is_translator(self) -> bool:
        """Whether the model writes any text, instead of annotating the one it reads."""
        return self.model.config.task == "translate"

    def annotate(
        self,
        texts: Sequence[str],
        *,
        search: SearchConfig | None = None,
        batching: BatchConfig | None = None,
        first: int = 1,
        advance: Callable[[int], None] | None = None,
    ) -> list[Annotation]:
        """Annotate texts; the results are in their order.

        A model of the annotate task chooses among tags only, so that not a character can change,
        unless `search.free` lets it write. `first` numbers the texts for random draws, so that
        texts given in parts are drawn for as if they were given at once. `advance` is told how
        many texts are done; without it, a progress bar shows.

        Raises:
            OptionError: `search` has options that do not go together with this model.
        """
        config = search or SearchConfig()
        if advance is None:
            with progress("annotating", total=len(texts)) as bar:
                return self.annotate(
                    texts, search=config, batching=batching, first=first, advance=bar
                )
        batching = batching or BatchConfig()
        if config.free or self.is_translator:
            return self._write(texts, config, batching, first, advance)
        return self._mark(texts, config, batching, first, advance)

    def _write(
        self,
        texts: Sequence[str],
        config: SearchConfig,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
    ) -> list[Annotation]:
        """Let the model write any token."""
        codec = self.model.codec
        examples = [codec.encode_source(text) for text in texts]
        found: dict[int, Annotation] = {}
        for batch in self._batches(examples, batching):
            hypotheses = self._search(
                self._network,
                batch,
                config,
                limits=codec.output_limits(batch.source_lengths),
                names=[str(first + row) for row in batch.rows],
            )
            for row, some in zip(batch.rows, hypotheses, strict=True):
                found[row] = _ranked(
                    from_output(
                        texts[row],
                        codec.decode(one.ids),
                        score=one.score,
                        is_translation=self.is_translator,
                    )
                    for one in some
                )
            advance(len(batch.rows))
        return [found[row] for row in range(len(texts))]

    def _mark(
        self,
        texts: Sequence[str],
        config: SearchConfig,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
    ) -> list[Annotation]:
        """Let the model choose tags, window by window."""
        readings = [self._read(text) for text in texts]
        places = [(row, i) for row, one in enumerate(readings) for i in range(len(one.windows))]
        examples = [readings[row].example(index) for row, index in places]
        found: dict[tuple[int, int], list[Hypothesis]] = {}
        faithful = Faithful(self._network, self._edits)
        advance(sum(not one.windows for one in readings))
        for batch in self._batches(examples, batching):
            at = [places[piece] for piece in batch.rows]
            hypotheses = self._search(
                faithful,
                batch,
                config,
                limits=self._edits.limits(batch.source_lengths),
                names=[f"{first + row}.{index}" for row, index in at],
            )
            found |= zip(at, hypotheses, strict=True)
            advance(sum(index == 0 for _, index in at))
        return [
            self._assemble(one, [found[row, index] for index in range(len(one.windows))])
            for row, one in enumerate(readings)
        ]

    def _read(self, text: str) -> _Reading:
        vocabulary = self.model.codec.source
        tokens, offsets = vocabulary.cut(text)
        windows = cut_windows(tokens, self.model.codec.bounds)
        return _Reading(text, offsets, vocabulary.look_up(tokens), windows)

    def _assemble(self, reading: _Reading, found: Sequence[Sequence[Hypothesis]]) -> Annotation:
        """Join the windows of a text: the i-th output of each makes the i-th of the text.

        A window with fewer outputs than others takes part with its last.
        """
        count = max(map(len, found), default=1)
        outputs = [[some[min(rank, len(some) - 1)] for some in found] for rank in range(count)]
        return _ranked(
            from_edits(
                reading.text,
                reading.offsets,
                stitch(reading.windows, [_spans(one) for one in output]),
                labels=self.model.codec.labels,
                score=sum((one.score for one in output), 0.0),
                windows=len(reading.windows),
            )
            for output in outputs
        )

    def _batches(self, examples: Sequence[Example], batching: BatchConfig) -> Iterator[Batch]:
        for rows in longest_first(examples, batching):
            yield collate(rows, examples).to(self.compute.device)

    def _search(
        self,
        stepper: Stepper[State],
        batch: Batch,
        config: SearchConfig,
        *,
        limits: Tensor,
        names: Sequence[str],
    ) -> list[list[Hypothesis]]:
        with self.compute.autocast():
            return search(stepper, batch, config, limits=limits, names=names)


def _spans(hypothesis: Hypothesis) -> list[TokenSpan]:
    return edited_spans(hypothesis.ids, hypothesis.log_probs)


def _ranked(annotations: Iterator[Annotation]) -> Annotation:
    best, *others = annotations
    return replace(best, alternatives=tuple(others))
