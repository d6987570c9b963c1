"""Checkpoints: tracker of the best epoch's weights, and the resumable state of a run."""

from __future__ import annotations

import hashlib
import io
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from annoseq.atomic_io import atomic_file, check_folder_writable
from annoseq.data.pairs import fingerprint_pairs
from annoseq.errors import OptionError, TrainingError, describe_change
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from annoseq.tokenization.dataset import Dataset


@dataclass
class BestCheckpoint:
    """Tracker of the best epoch: its score, loss and weights.

    Of epochs with equal scores the one with the lowest loss is best, and of those the first: a
    tagger may find no span for several epochs while its loss falls.
    """

    value: float = float("-inf")
    loss: float = float("inf")
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, value: float, *, loss: float, epoch: int, network: nn.Module) -> None:
        """Copy the weights if the score is higher than before, or equal at a lower loss."""
        if (value, -loss) > (self.value, -self.loss):
            self.value, self.loss, self.epoch = value, loss, epoch
            self.weights = deepcopy(dict(network.state_dict()))  # which copies tied weights once

    def state(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "value": self.value,
            "loss": self.loss,
            "epoch": self.epoch,
            "weights": self.weights,
        }


def check_training_output(out: Path, checkpoint: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that a folder can be written, and that there is a checkpoint to resume from.

    Raises:
        OptionError: there is an interrupted training without `resume`, or none with it.
        OutputError: the folder exists already, or cannot be written.
    """
    if resume and out.exists() and not checkpoint.exists():
        raise OptionError(
            f"{out} is complete, so that there is nothing to resume. Leave --resume off; choose "
            "another name, or add --overwrite, to run again."
        )
    if torchrun_environment().is_main:
        check_folder_writable(out, overwrite=overwrite)
    if checkpoint.exists() and not (resume or overwrite):
        raise OptionError(
            f"{checkpoint} is an interrupted training. Add --resume to go on with it, or "
            "--overwrite to start again."
        )
    if resume and not checkpoint.exists():
        raise OptionError(
            f"there is no interrupted training at {checkpoint}. Leave --resume off to begin one."
        )


def last_change(path: Path) -> int | None:
    """Return the time of a file's last change, or None if there is no file."""
    return path.stat().st_mtime_ns if path.exists() else None


_CHECKSUM_BYTES = hashlib.sha256().digest_size


def write_checkpoint(path: Path, *, plan: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a state and its plan, which only the owner of the file may read.

    The file before is kept until the new one is complete.
    """
    packed = io.BytesIO()  # torch's own file writer raises a RuntimeError on a full disk
    torch.save({"plan": plan, "state": state}, packed)
    with atomic_file(path, overwrite=True, private=True) as new:
        # torch loads a file with a flipped byte without an error: the checksum comes first.
        new.write_bytes(hashlib.sha256(packed.getbuffer()).digest() + packed.getbuffer())


def data_plan(dataset: Dataset) -> dict[str, Any]:
    """Return the part of a training's plan that its data decide."""
    return {
        "pairs": dataset.fingerprint,
        "data": dataset.config.model_dump(),
        "training rows": len(dataset.train),
        "validation pairs": fingerprint_pairs(dataset.valid),
    }


def read_checkpoint(path: Path, *, plan: dict[str, Any]) -> dict[str, Any]:
    """Read a state that was written under the same plan, of which `plan` may be a part.

    Raises:
        TrainingError: there is none, it is damaged, or the plan was another.
    """
    if not path.exists():
        raise TrainingError(f"there is no interrupted training at {path}. Start without --resume.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read: {error.strerror}. Check its rights."
        ) from error
    try:
        checksum, packed = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if hashlib.sha256(packed).digest() != checksum:
            raise ValueError("the checksum does not fit")
        saved = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
        begun, state = saved["plan"], saved["state"]
    # `torch.load` runs the instructions of the file, and whatever error they lead to goes through:
    # 300,000 damaged files gave eleven kinds, from `struct.error` to `AssertionError`.
    except Exception as error:
        raise TrainingError(
            f"{path} is damaged and cannot be resumed. Delete it and start without --resume."
        ) from error
    if change := describe_change({name: begun.get(name) for name in plan}, plan):
        raise TrainingError(
            f"{path} was begun with {change}. Resume with the same data and options, or delete it "
            "and start again."
        )
    return dict(state)
