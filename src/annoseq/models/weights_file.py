"""Weights of a network as safetensors; those of a pre-trained encoder in a file of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_model, save_file

from annoseq.models.encoder_folder import write_encoder
from annoseq.models.model_config import ENCODER_FOLDER, ENCODER_WEIGHTS, WEIGHTS_FILE
from annoseq.models.tagger import Tagger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.pretrained_encoder import PretrainedEncoder

_READ_AND_WRITE = 0o666
_ENCODER_PREFIX = "pretrained.network."
"""Beginning of the names of a tagger's weights that are in the file of its encoder."""


def write_weights(network: AnySeq2SeqNetwork | Tagger, folder: Path) -> None:
    """Write the weights of a network into a model folder, and its pre-trained encoder.

    Raises:
        OSError: a file cannot be written.
    """
    _write(network, folder / WEIGHTS_FILE, without=_ENCODER_PREFIX)
    encoder = _encoder_of(network)
    if encoder is not None:
        write_encoder(encoder, folder / ENCODER_FOLDER)
        _write(encoder.network, folder / ENCODER_WEIGHTS)


def load_weights(network: AnySeq2SeqNetwork | Tagger, folder: Path) -> None:
    """Read the weights of a network, and those of its pre-trained encoder.

    Raises:
        RuntimeError: the weights are of another network.
        SafetensorError: a file is damaged.
    """
    encoder = _encoder_of(network)
    if encoder is None:
        load_model(network, folder / WEIGHTS_FILE)
        return
    load_model(encoder.network, folder / ENCODER_WEIGHTS)
    missing, unexpected = load_model(network, folder / WEIGHTS_FILE, strict=False)
    if unexpected or not all(name.startswith(_ENCODER_PREFIX) for name in missing):
        raise RuntimeError(f"{WEIGHTS_FILE} has other tensors")


def _encoder_of(network: nn.Module) -> PretrainedEncoder | None:
    return network.pretrained if isinstance(network, Tagger) else None


def _write(network: nn.Module, path: Path, *, without: str | None = None) -> None:
    """Write weights, but for those whose names begin with `without`."""
    # safetensors' save_model would record the names of tied tensors, in an order that varies.
    unique = {name for name, _ in network.named_parameters()}
    unique |= {name for name, _ in network.named_buffers()}
    weights = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if name in unique and not (without and name.startswith(without))
    }
    write_tensors(weights, path)


def write_tensors(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by their names, for all who may read the folder.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        save_file(dict(weights), path, metadata={"format": "pt"})  # which transformers asks for
    except SafetensorError as error:  # raised for a full disk
        raise OSError(str(error)) from error
    path.chmod(path.parent.stat().st_mode & _READ_AND_WRITE)  # safetensors keeps it to the owner
