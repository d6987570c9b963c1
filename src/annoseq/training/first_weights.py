"""The weights that training begins with: drawn, those of vectors, or those of another model."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.errors import DatasetError
from annoseq.models.build import build_model
from annoseq.text.vectors.cache import filled_matrices

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import NetworkConfig
    from annoseq.models.folder import TrainedModel
    from annoseq.models.network import AnyNetwork
    from annoseq.text.codec import Codec
    from annoseq.text.dataset import Dataset
    from annoseq.text.vectors.filling import Filled


def take_over(base: TrainedModel, codec: Codec) -> AnyNetwork:
    """Copy the network of a trained model.

    Raises:
        DatasetError: the data have other vocabularies than the model.
    """
    if base.codec.signature() != codec.signature():
        raise DatasetError(
            "the data were prepared with other vocabularies than the model's. "
            "Give the table of pairs, so that it is prepared with the model's own."
        )
    return deepcopy(base.network)


def from_vectors(
    config: NetworkConfig, dataset: Dataset, path: str | Path, *, seed: int
) -> tuple[NetworkConfig, AnyNetwork, Filled]:
    """Build a network whose embeddings are as wide as the vectors of a file, and filled with them.

    Returns its configuration, the network, and what was found for the target vocabulary. One
    factor brings the vectors of both sides to a mean length of 1: the output layer has the same
    weights, and scores of longer ones would begin far from a guess.

    Raises:
        VectorsError: the file cannot be read.
        OptionError: another width was asked for, or the network cannot have that of the vectors.
    """
    source, target = filled_matrices(dataset.codec, path, seed=seed, cache=dataset.folder)
    config = config.with_embedding(target.matrix.shape[1])
    network = build_model(config, dataset.codec, seed=seed)
    length = float(np.linalg.norm(target.matrix, axis=1).mean())
    with torch.no_grad():
        if network.source.copies is None:
            network.source.table.weight.copy_(torch.from_numpy(source.matrix / length))
        network.target.embedding.weight.copy_(torch.from_numpy(target.matrix / length))
    return config, network, target
