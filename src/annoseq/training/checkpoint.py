"""The state of a training run between two epochs: only resuming reads it."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import torch

from annoseq.errors import TrainingError
from annoseq.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

_CHECKSUM = hashlib.sha256().digest_size


def write_checkpoint(path: Path, *, plan: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a state and the plan it belongs to; what was there stays until it is complete."""
    packed = io.BytesIO()  # on a full disk torch's own writer raises a RuntimeError
    torch.save({"plan": plan, "state": state}, packed)
    with replacing(path, overwrite=True) as new:
        # torch loads a file with a flipped byte, so the checksum goes in front.
        new.write_bytes(hashlib.sha256(packed.getbuffer()).digest() + packed.getbuffer())


def read_checkpoint(path: Path, *, plan: dict[str, Any]) -> dict[str, Any]:
    """Read a state that was written under the same plan.

    Raises:
        TrainingError: there is none, it is damaged, or the plan was another.
    """
    if not path.exists():
        raise TrainingError(f"there is no interrupted training at {path}. Start without --resume.")
    try:
        content = path.read_bytes()
        checksum, packed = content[:_CHECKSUM], content[_CHECKSUM:]
        if hashlib.sha256(packed).digest() != checksum:
            raise ValueError("the checksum does not fit")
        saved = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
        begun, state = saved["plan"], saved["state"]
    except Exception as error:  # torch raises many kinds for a damaged file
        raise TrainingError(
            f"{path} is damaged and cannot be resumed. Delete it and start without --resume."
        ) from error
    for name, value in plan.items():
        if begun.get(name) != value:
            raise TrainingError(
                f"{path} was begun with {name} {begun.get(name)}, and now it is {value}. "
                "Resume with the same data and options, or delete it and start again."
            )
    return dict(state)
