"""What most users need: load a model folder, annotate texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.config import BatchConfig, DeviceConfig
from annoseq.devices import Compute
from annoseq.errors import MarkupError
from annoseq.evaluation.predictions import decode_rows, write_freely
from annoseq.models.folder import TrainedModel
from annoseq.pairs.markup import Span, parse
from annoseq.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a model wrote for a text.

    `spans` are those of the text, or None where the output is not the text plus well-nested tags;
    `problem` then says why. A model of the translate task has no spans and no problem.
    """

    text: str
    annotated: str
    spans: tuple[Span, ...] | None
    problem: str | None = None


class Annotator:
    """A trained model, ready to annotate."""

    def __init__(self, model: TrainedModel, *, device: DeviceConfig | None = None) -> None:
        self.model = model
        self.compute = Compute.choose(device)

    @classmethod
    def load(cls, folder: str | Path, *, device: DeviceConfig | None = None) -> Annotator:
        """Read a model folder.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
        """
        return cls(TrainedModel.load(folder), device=device)

    def annotate(
        self, texts: Sequence[str], *, batching: BatchConfig | None = None
    ) -> list[Annotation]:
        """Annotate texts; the results are in their order.

        The model writes freely, token by token: it may change the text, and says so.
        """
        codec = self.model.codec
        examples = [codec.encode_source(text) for text in texts]
        outputs: dict[int, str] = {}
        with progress("annotating", total=len(texts)) as advance:
            for rows, output, _ in write_freely(
                self.model.network,
                examples,
                codec,
                compute=self.compute,
                batching=batching or BatchConfig(),
            ):
                outputs |= zip(rows, decode_rows(output, codec), strict=True)
                advance(len(rows))
        return [self._read(text, outputs[row]) for row, text in enumerate(texts)]

    def _read(self, text: str, output: str) -> Annotation:
        if self.model.config.task == "translate":
            return Annotation(text, output, spans=None)
        try:
            written, spans = parse(output)
        except MarkupError as error:
            return Annotation(text, output, spans=None, problem=f"malformed: {error}")
        if written != text:
            return Annotation(text, output, spans=None, problem="the text was changed")
        return Annotation(text, output, tuple(spans))
