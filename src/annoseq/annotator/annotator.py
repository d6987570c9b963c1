"""A trained model, ready to annotate texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.annotator.annotation import Annotation, from_output
from annoseq.annotator.reading import Reading
from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.decoding.faithful import Edits, Faithful, edited_spans
from annoseq.decoding.search import search
from annoseq.devices import Compute
from annoseq.errors import OptionError
from annoseq.models.folder import TrainedModel
from annoseq.models.tagger.tagger import Tagger
from annoseq.progress import progress
from annoseq.text.batches import collate_sources, longest_first
from annoseq.text.codec import Codec, Example
from annoseq.text.tag_codec import TagCodec
from annoseq.text.token_span import Marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.decoding.hypothesis import Hypothesis
    from annoseq.models.stepper import State, Stepper
    from annoseq.text.batches import Batch


_WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)
"""What a tagger reads at once if nothing else is asked for: it needs little memory for a token."""


class Annotator:
    """A trained model, ready to annotate."""

    def __init__(self, model: TrainedModel, *, device: DeviceConfig | None = None) -> None:
        self.model = model
        self.compute = Compute.choose(device)
        self._network = model.network.to(self.compute.device).eval()
        self._edits: Edits | None = None
        if isinstance(model.codec, Codec):
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

    @property
    def is_tagger(self) -> bool:
        """Whether the model finds the tags in one pass, without writing the text."""
        return isinstance(self._network, Tagger)

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
        if isinstance(self.model.codec, TagCodec):
            self._refuse_search(config)
            batching = batching if batching.model_fields_set else _WIDE
            self.model.codec.words.make_room()
            return self._mark(texts, config, batching, first, advance)
        if config.free or self.is_translator:
            return self._write(texts, config, batching, first, advance)
        return self._mark(texts, config, batching, first, advance)

    def _refuse_search(self, config: SearchConfig) -> None:
        if given := sorted(config.model_fields_set):
            option = "--" + given[0].replace("_", "-")
            raise OptionError(
                f"{option} is for models that write, and this one is a tagger: it finds the "
                f"likeliest tags in one pass. Leave {option} off."
            )

    def _write(
        self,
        texts: Sequence[str],
        config: SearchConfig,
        batching: BatchConfig,
        first: int,
        advance: Callable[[int], None],
    ) -> list[Annotation]:
        """Let the model write any token."""
        codec, network = self.model.codec, self._network
        assert isinstance(codec, Codec)
        assert not isinstance(network, Tagger)
        examples = [codec.encode_source(text) for text in texts]
        found: dict[int, Annotation] = {}
        for batch in self._batches(examples, batching):
            hypotheses = self._search(
                network,
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
        codec = self.model.codec
        readings = [Reading.of(text, codec) for text in texts]
        places = [(row, i) for row, one in enumerate(readings) for i in range(len(one.windows))]
        examples = [Example(readings[row].window(index), []) for row, index in places]
        found: dict[tuple[int, int], Sequence[Marked]] = {}
        advance(sum(not one.windows for one in readings))
        for batch in self._batches(examples, batching):
            at = [places[piece] for piece in batch.rows]
            names = [f"{first + row}.{index}" for row, index in at]
            found |= zip(at, self._find(batch, config, names), strict=True)
            advance(sum(index == 0 for _, index in at))
        return [
            _ranked(
                one.assemble(
                    [found[row, index] for index in range(len(one.windows))], labels=codec.labels
                )
            )
            for row, one in enumerate(readings)
        ]

    def _find(self, batch: Batch, config: SearchConfig, names: Sequence[str]) -> list[list[Marked]]:
        """Find the spans of every row; of a search that returns several outputs, in each."""
        if isinstance(self._network, Tagger):
            with self.compute.autocast():
                return [[marked] for marked in self._network.spans(batch)]
        assert self._edits is not None
        hypotheses = self._search(
            Faithful(self._network, self._edits),
            batch,
            config,
            limits=self._edits.limits(batch.source_lengths),
            names=names,
        )
        return [[_marked(one) for one in some] for some in hypotheses]

    def _batches(self, examples: Sequence[Example], batching: BatchConfig) -> Iterator[Batch]:
        for rows in longest_first(examples, batching):
            batch = collate_sources(rows, examples, has_ends=not self.is_tagger)
            yield batch.to(self.compute.device)

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


def _marked(hypothesis: Hypothesis) -> Marked:
    return Marked(edited_spans(hypothesis.ids, hypothesis.log_probs), hypothesis.score)


def _ranked(annotations: Iterator[Annotation]) -> Annotation:
    best, *others = annotations
    return replace(best, alternatives=tuple(others))
