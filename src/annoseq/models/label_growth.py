"""Growth of a tagger's label set: the weights of a trained head in the head of more labels.

New labels come after the known ones. What the head knows of those stays bit for bit; the scores of
a new label begin at the least bias of the known ones, so that it is hardly ever found before it is
trained. The head stays of its kind: one for flat spans finds no nested ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_OUTPUT, _OUTPUT_BIAS = "head.output.weight", "head.output.bias"
_CLASS_BIAS = "head.first_linear.bias"


def grow_labels(
    trained: Mapping[str, Tensor], fresh: Mapping[str, Tensor], *, old: int, new: int
) -> dict[str, Tensor]:
    """Return the weights of a tagger with `new` labels, of which a trained one knows the first.

    `trained` are the weights of the tagger with `old` labels, `fresh` those of an untrained tagger
    with `new` labels, whose tensors say the shapes.
    """
    grown = {}
    for name, weights in fresh.items():
        known = trained[name]
        if known.shape == weights.shape:
            grown[name] = known
            continue
        grown[name] = _spread(known, weights, _rows(name, known, old=old, new=new))
    for name in (_OUTPUT_BIAS, _CLASS_BIAS):
        if name in grown and old:
            is_new = torch.ones(len(grown[name]), dtype=torch.bool)
            is_new[_rows(name, trained[name], old=old, new=new)] = False
            grown[name][is_new] = trained[name][1:].min()  # the first is that of no span
    return grown


def _rows(name: str, known: Tensor, *, old: int, new: int) -> Tensor:
    """Return the place in the grown tensor of each row of the first dimension that grows."""
    if name not in {_OUTPUT, _OUTPUT_BIAS}:
        return torch.arange(max(known.shape))
    # Outside, and the begin, inside, end and single tags of all labels: see `bioes`.
    blocks = [1 + block * new + torch.arange(old) for block in range(4)]
    return torch.cat([torch.zeros(1, dtype=torch.long), *blocks])


def _spread(known: Tensor, fresh: Tensor, rows: Tensor) -> Tensor:
    """Put trained weights into a tensor of zeros with the shape of a fresh one.

    A dimension that grows keeps its first entries in front, but for the first one of the output
    layer, whose entries go to `rows`.
    """
    grown = torch.zeros_like(fresh)
    places = [
        torch.arange(size) if dimension else rows[:size]
        for dimension, size in enumerate(known.shape)
    ]
    grown[torch.meshgrid(places, indexing="ij")] = known
    return grown
