"""Predictor of an ensemble: its taggers read the same windows of the same tokens.

Models that write their output read the texts first, by constrained decoding, which changes no
character. What they mark is aligned to the tokens of the taggers, as a vote for the tag of each.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from annoseq.inference.network_predictors import TaggerPredictor, build_predictor
from annoseq.inference.predictor import hasher_lock, predict_spans, tokenize_texts
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.linearize import align_to_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.devices import ComputeDevice
    from annoseq.inference.predictor import SpanPredictor, TokenizedText
    from annoseq.models.ensemble_folder import EnsembleModel


@dataclass(frozen=True, kw_only=True)
class EnsemblePredictor(TaggerPredictor):
    """Predictor of a `TaggerEnsemble`; `model` has the tokenizers of its taggers.

    The ids of a text are (T, M + W): a column for each tagger, whose token features are its own,
    and one for each of the `writers`, with the tags of its spans.
    """

    model: EnsembleModel
    writers: tuple[SpanPredictor, ...] = ()

    @classmethod
    def of(cls, model: EnsembleModel, compute: ComputeDevice) -> EnsemblePredictor:
        """Move the members to a device, in evaluation mode."""
        network = model.network.to(compute.device).eval()
        return cls(
            network=network,
            tokenizer=model.tokenizer,
            compute=compute,
            bounds_cache=True,
            model=model,
            writers=tuple(
                build_predictor(writer.network, writer.tokenizer, compute)
                for writer in model.writers
            ),
        )

    @contextmanager
    def exclusive_use(self) -> Iterator[None]:
        """Lock the caches of token features, and empty those that have grown large."""
        hashers = [tokenizer.feature_hasher for tokenizer in self.model.tokenizers]
        with ExitStack() as locks:
            for hasher in sorted(hashers, key=id):  # in one order, so that none waits for another
                locks.enter_context(hasher_lock(hasher))
            for hasher in hashers:
                hasher.clear_if_large()
            yield

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize texts, and cut them into windows."""
        by_member = [tokenize_texts(texts, tokenizer) for tokenizer in self.model.tokenizers]
        columns = [[np.asarray(text.ids) for text in member] for member in by_member]
        labels = self.labels
        columns += [votes(writer, by_member[0], labels=labels) for writer in self.writers]
        return [
            replace(text, ids=np.stack(ids, 1))
            for text, *ids in zip(by_member[0], *columns, strict=True)
        ]


def votes(
    writer: SpanPredictor, texts: Sequence[TokenizedText], *, labels: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Return the tags (T,) that the likeliest spans of a writer give the tokens of each text.

    The tokens are those of a tagger with these `labels`; a span that ends within one is widened.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    read = writer.tokenize([text.text for text in texts])
    tags = []
    for text, own, (best, *_) in zip(texts, read, predict_spans(writer, read), strict=True):
        spans = own.to_text_spans(best, labels=writer.labels)
        aligned = align_to_tokens(text.text, np.asarray(text.offsets).tolist(), spans)
        path = spans_to_bioes(aligned.spans, tokens=len(text.offsets), levels=1, labels=numbers)
        tags.append(np.array(path, np.int64).reshape(-1))
    return tags
