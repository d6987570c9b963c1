"""A model called as Hugging Face's token-classification pipeline is, with the same keys.

The results are those of `pipeline("token-classification", aggregation_strategy=...)`: a dictionary
for each entity, with `entity_group`, `score`, `word`, `start` and `end`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypedDict, overload

from annoseq.errors import OptionError
from annoseq.integrations.span_annotator import SpanAnnotator

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.data.markup import Span
    from annoseq.inference.annotator import Annotator


class Entity(TypedDict):
    """A span with the keys of an aggregated token classification; offsets are in code points."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class AnnotationPipeline:
    """A model that takes texts as a pipeline of transformers does.

    `model` is a model folder, an ONNX file, or an `Annotator`. A text gives a list of entities, a
    list of texts a list of such lists, and any other iterable, such as a generator or a column of a
    dataset, an iterator that reads `batch_size` texts at a time. `word` is the text of the span,
    character for character, and `score` its probability, calibrated if the model is.

    Raises:
        ModelError: a file of the model is missing or damaged.
        OptionError: the model translates, or an option does not go together with it.
    """

    task = "token-classification"

    def __init__(
        self,
        model: Annotator | str | Path,
        *,
        device: str | None = None,
        vectors: str | Path | None = None,
        batch_size: int = 64,
        target_recall: float | None = None,
        target_coverage: float | None = None,
    ) -> None:
        self.batch_size = _check_batch_size(batch_size)
        self._model = SpanAnnotator.load(
            model,
            device=device,
            vectors=vectors,
            target_recall=target_recall,
            target_coverage=target_coverage,
        )

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: str, *, batch_size: int | None = ...
    ) -> list[Entity]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: list[str] | tuple[str, ...], *, batch_size: int | None = ...
    ) -> list[list[Entity]]: ...
    @overload
    def __call__(
        self, inputs: Iterable[str], *, batch_size: int | None = ...
    ) -> Iterator[list[Entity]]: ...
    def __call__(
        self, inputs: str | Iterable[str], *, batch_size: int | None = None
    ) -> list[Entity] | list[list[Entity]] | Iterator[list[Entity]]:
        """Return the entities of one text, or of several.

        Raises:
            OptionError: these are no texts, or `batch_size` is no positive number.
        """
        size = self.batch_size if batch_size is None else _check_batch_size(batch_size)
        if isinstance(inputs, str):
            return self._annotate([inputs])[0]
        if isinstance(inputs, list | tuple):
            return list(self._stream(inputs, size))
        if not isinstance(inputs, Iterable):
            raise OptionError(
                f"cannot annotate a {type(inputs).__name__}. Give a text, a list, or an iterable "
                "of texts."
            )
        return self._stream(inputs, size)

    def __repr__(self) -> str:
        return f"<AnnotationPipeline: {self._model.name}>"

    def _stream(self, texts: Iterable[str], size: int) -> Iterator[list[Entity]]:
        remaining = iter(texts)
        while batch := list(islice(remaining, size)):
            yield from self._annotate(batch)

    def _annotate(self, texts: list[str]) -> list[list[Entity]]:
        found = self._model.spans(texts)
        return [
            [_entity(text, span) for span in spans]
            for text, spans in zip(texts, found, strict=True)
        ]


def _check_batch_size(size: int) -> int:
    if size < 1:
        raise OptionError(f"batch_size: found {size}. Give a number of at least 1.")
    return size


def _entity(text: str, span: Span) -> Entity:
    return {
        "entity_group": span.label,
        "score": span.score or 0.0,  # every span has one: the model only chooses among tags
        "word": text[span.start : span.end],
        "start": span.start,
        "end": span.end,
    }
