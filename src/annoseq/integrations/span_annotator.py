"""SpanAnnotator: a model and its threshold, as the components of other tools use them.

spaCy, Presidio, Label Studio and Hugging Face are given the same object: texts in, spans out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from annoseq.config import BatchConfig
    from annoseq.data.markup import Span
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.predictor import Target

_FINGERPRINT_DIGITS = 12


@dataclass(frozen=True)
class SpanAnnotator:
    """A model that annotates, with the threshold that was chosen once for a target.

    It may be called from several threads at once.
    """

    annotator: Annotator
    target: Target | None = None

    @classmethod
    def load(
        cls,
        model: Annotator | str | Path,
        *,
        device: str | None = None,
        vectors: str | Path | None = None,
        target_recall: float | None = None,
        target_coverage: float | None = None,
    ) -> SpanAnnotator:
        """Read a model folder or an ONNX file, or take an annotator that was read before.

        Raises:
            ModelError: a file is missing or damaged, or another version wrote it.
            OptionError: the model translates, it cannot choose a threshold, or an option does not
                go together with it.
            VectorsError: the file of word vectors cannot be read, or is another one.
        """
        if not isinstance(model, Annotator):
            model = Annotator.load(model, device=device, vectors=vectors)
        elif device is not None or vectors is not None:
            raise OptionError(
                "device and vectors are those of the annotator that was given. Leave them off, or "
                "give the path of the model."
            )
        if model.is_translator:
            raise OptionError(
                "this model writes texts of its own and marks nothing. Give a model that annotates."
            )
        target = model.choose_target(target_recall=target_recall, target_coverage=target_coverage)
        return cls(model, target)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the model, in its order."""
        return tuple(self.annotator.predictor.labels)

    @property
    def is_nested(self) -> bool:
        """True if a span of the model may lie in another."""
        return self.annotator.config.length_stats.depth > 1

    @property
    def fingerprint(self) -> str:
        """Checksum of the model's weights."""
        return self.annotator.fingerprint

    @property
    def name(self) -> str:
        """Name of the model in other tools: the kind of network, and the start of its checksum."""
        network = self.annotator.config.network.model
        return f"{network}-{self.fingerprint.rpartition(':')[2][:_FINGERPRINT_DIGITS]}"

    @property
    def scores(self) -> str:
        """Description of the scores of its spans."""
        if self.annotator.calibration is not None:
            return "calibrated probability"
        return "probability by the network, not calibrated"

    def annotate(
        self,
        texts: Sequence[str],
        *,
        batching: BatchConfig | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Annotation]:
        """Annotate texts, as `Annotator.annotate` does.

        Raises:
            OptionError: these are no texts.
        """
        return self.annotator.annotate(
            texts, batching=batching, target=self.target, advance=advance
        )

    def spans(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """Return the spans of each text, in code points and in opening order.

        Raises:
            OptionError: these are no texts.
        """
        return [annotation.spans or () for annotation in self.annotate(texts)]


def missing_package(error: ModuleNotFoundError, tool: str, *, extra: str) -> Exception:
    """Return the error that names the extra of a tool, or `error` if another module is missing."""
    package = (error.name or "").partition(".")[0]
    if package not in {"spacy", "presidio_analyzer", "presidio_anonymizer", "datasets"}:
        return error
    return OptionError(
        f"this needs {tool}, which is not installed. Run: pip install 'annoseq[{extra}]'"
    )
