"""Parameter groups of the optimizer: weight decay, and the learning rates of an encoder's layers.

A pre-trained encoder is trained at a rate of its own, which falls from its last layer to its
embeddings (discriminative fine-tuning, Howard and Ruder 2018, arXiv:1801.06146): what is general in
it should change least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from annoseq.models.tagger import Tagger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from annoseq.config import TrainingConfig
    from annoseq.models.pretrained_encoder import PretrainedEncoder

BASE_GROUPS = 2
"""Number of the first groups, whose rate is the given one; the others are of an encoder."""


def parameter_groups(
    objective: nn.Module, config: TrainingConfig, lr: float
) -> list[dict[str, Any]]:
    """Return the groups of all weights that are trained, each with its learning rate.

    Biases and normalization weights, which have one dimension, are not decayed.
    """
    network = getattr(objective, "network", None)
    encoder = network.pretrained if isinstance(network, Tagger) else None
    by_layer = [] if encoder is None else _layers_from_the_top(encoder)
    of_encoder = {id(weight) for weights in by_layer for weight in weights}
    others = [weight for weight in objective.parameters() if id(weight) not in of_encoder]
    groups = _decayed_and_not(others, lr)
    for depth, weights in enumerate(by_layer):
        rate = config.encoder_lr * config.layer_decay**depth
        groups += [group for group in _decayed_and_not(weights, rate) if group["params"]]
    return groups


def _decayed_and_not(weights: Iterable[nn.Parameter], lr: float) -> list[dict[str, Any]]:
    """Return two groups: weights with decay, and those without."""
    trained = [weight for weight in weights if weight.requires_grad]
    return [
        {"params": [weight for weight in trained if weight.ndim > 1], "lr": lr},
        {
            "params": [weight for weight in trained if weight.ndim < 2],
            "lr": lr,
            "weight_decay": 0.0,
        },
    ]


def _layers_from_the_top(encoder: PretrainedEncoder) -> list[list[nn.Parameter]]:
    """Return the weights of each layer, the last first; then those of the embeddings.

    What is above the layers, such as a last normalization, belongs to the last layer.
    """
    layers = [list(layer.parameters()) for layer in reversed(encoder.layers())]
    in_layers = {id(weight) for weights in layers for weight in weights}
    network: Any = encoder.network
    below = getattr(network, "embeddings", None) or network.get_input_embeddings()
    embeddings = [weight for weight in below.parameters() if id(weight) not in in_layers]
    known = in_layers | {id(weight) for weight in embeddings}
    rest = [weight for weight in network.parameters() if id(weight) not in known]
    first, *others = layers or [[]]
    return [first + rest, *others, embeddings]
