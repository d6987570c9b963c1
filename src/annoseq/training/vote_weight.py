"""Weight of the votes of an ensemble's writers, chosen on rows that no member was trained on.

It is the weight that makes the gold tags of these rows the most likely (Heskes 1998, "Selecting
weighting factors in logarithmic opinion pools"), at the temperature of the whole CRF that suits it
best: taggers are too sure, votes that agree with them would make them surer, and so the likelihood
alone would speak against all votes. The temperature does not change the best path, and is not kept.
The log-likelihood of a CRF is concave in both, so that a grid tells all there is to know.

Shapes: B rows, T tokens, K tags, M taggers, W writers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.models.tagger import CrfHead
from annoseq.models.tagger_ensemble import TaggerEnsemble
from annoseq.progress import progress_bar
from annoseq.tokenization.batching import collate_tags, length_sorted_batches
from annoseq.tokenization.bioes import tag_blocks
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.data.examples import Example
    from annoseq.inference.ensemble_predictor import EnsemblePredictor
    from annoseq.tokenization.batching import Batch

VOTE_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Weights that are tried, in nats; at 4 a writer is followed unless the taggers are sure."""
_TEMPERATURES = (1.0, 1.25, 1.5, 2.0, 3.0)


def choose_vote_weight(predictor: EnsemblePredictor, examples: Sequence[Example]) -> float:
    """Return the weight under which the gold tags of `examples` are the most likely.

    A window whose edge cuts a span says nothing of it and is left out. Without any that is left,
    votes have no weight.
    """
    network = predictor.network
    assert isinstance(network, TaggerEnsemble)
    losses = np.zeros((len(VOTE_WEIGHTS), len(_TEMPERATURES)))
    with predictor.exclusive_use():
        windows = list(_windows(predictor, [example for example in examples if example.source]))
        with progress_bar("weighing votes", total=len(windows)) as advance:
            for rows in length_sorted_batches(windows, predictor.default_batching):
                batch = collate_tags(rows, windows).to(predictor.compute.device)
                with predictor.compute.running():
                    losses += _losses(network, batch)
                advance(len(rows))
    return VOTE_WEIGHTS[int(losses.min(1).argmin())]


@torch.no_grad()
def _losses(network: TaggerEnsemble, batch: Batch) -> NDArray[np.float64]:
    """Return the negative log-likelihood of the tags of a batch, by weight and temperature."""
    assert isinstance(network.head, CrfHead)
    assert batch.target is not None
    tags, lengths = batch.target[:, :, 0], batch.source_lengths
    encoded, losses = network.encode(batch), []
    for weight in VOTE_WEIGHTS:
        network.set_vote_weight(weight)
        emissions = network.head.scores(encoded)
        for temperature in _TEMPERATURES:
            crf = network.head.crf.at_temperature(temperature)
            losses.append(float(crf.loss(emissions / temperature, tags, lengths).sum()))
    return np.array(losses).reshape(len(VOTE_WEIGHTS), len(_TEMPERATURES))


def _windows(predictor: EnsemblePredictor, examples: Sequence[Example]) -> Iterator[TaggerEncoding]:
    """Yield the ids (T, M + W) and the gold tags of the windows that cut no span."""
    texts = predictor.tokenize([example.source for example in examples])
    encoded = predictor.tokenizer.encode(examples)
    for text, row in zip(texts, encoded, strict=True):
        tags = np.array(row.target, np.int64)
        for index, window in enumerate(text.windows):
            own = tags[window.first : window.last]
            if _is_whole(own[:, 0], labels=len(predictor.labels)):
                ids = np.asarray(text.window_ids(index))
                yield TaggerEncoding(ids.tolist(), [*map(tuple, own.tolist())])


def _is_whole(tags: NDArray[np.int64], *, labels: int) -> bool:
    """Return whether no span goes on before the first of these tags, or after the last."""
    _, begin, inside, end, _ = tag_blocks(labels)
    first, last = int(tags[0]), int(tags[-1])
    return not inside.start <= first < end.stop and not begin.start <= last < inside.stop
