"""Predictor of an ensemble of taggers: all of them read the same windows of the same tokens."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from annoseq.inference.network_predictors import TaggerPredictor
from annoseq.inference.predictor import hasher_lock, tokenize_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.devices import ComputeDevice
    from annoseq.inference.predictor import TokenizedText
    from annoseq.models.ensemble_folder import EnsembleModel


@dataclass(frozen=True, kw_only=True)
class EnsemblePredictor(TaggerPredictor):
    """Predictor of a `TaggerEnsemble`; `model` has the tokenizers of its members.

    The ids of a text are (T, M): one column for each member, whose token features are its own.
    """

    model: EnsembleModel

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
        return [
            replace(same[0], ids=np.stack([np.asarray(one.ids) for one in same], 1))
            for same in zip(*by_member, strict=True)
        ]
