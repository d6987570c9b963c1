"""Device, precision and peak memory of computation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from annoseq.config import DeviceConfig
from annoseq.errors import OptionError
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class ComputeDevice:
    """A device and the precision of the network's arithmetic on it."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, config: DeviceConfig | None = None) -> ComputeDevice:
        """Take the device asked for, or the accelerator where there is one, or the CPU.

        Of several processes that a launcher started, each takes a GPU of its own.

        Raises:
            OptionError: the device is not there, or the precision does not go with it.
        """
        config = config or DeviceConfig()
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = torch.device(config.device) if config.device != "auto" else accelerator
        device = device or torch.device("cpu")
        found = torch.accelerator.device_count() if accelerator else 0
        if torchrun_environment().world_size > 1:
            device = _own_device(device, found=found)
        if device.type != "cpu" and (
            accelerator is None or accelerator.type != device.type or (device.index or 0) >= found
        ):
            raise OptionError(
                f"--device {config.device} was asked for, but torch finds "
                f"{f'{found} x {accelerator}' if accelerator else 'no accelerator'} here. "
                "Use --device auto, or install a build of torch for that device."
            )
        if config.precision == "auto":
            has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
            dtype = torch.bfloat16 if has_bfloat16 else torch.float32
            return cls(device, dtype)
        if device.type == "cpu" and config.precision != "float32":
            raise OptionError(
                f"--precision {config.precision} needs a GPU; the CPU computes in float32 here."
            )
        return cls(device, _DTYPES[config.precision])

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network runs."""
        return torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )

    def scaler(self) -> torch.amp.GradScaler:
        """Return the gradient scaler that float16 needs; for other precisions it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def peak_memory(self) -> int:
        """Return the peak memory so far in bytes: of the GPU, or of this process on the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return peak_resident_memory()


def peak_resident_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # psutil has no peak on other systems

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _own_device(device: torch.device, *, found: int) -> torch.device:
    """Return the device of this process, where a launcher started several.

    Raises:
        OptionError: the processes would have to share a device.
    """
    if device.type == "cpu":
        return device
    own = torchrun_environment().local_rank
    if str(device) != "cuda":
        raise OptionError(
            f"several processes cannot train on the one device {device}. Use --device cuda, of "
            "which each takes its own, or --device cpu, or start one process."
        )
    if own >= found:
        raise OptionError(
            f"process {own + 1} of this machine needs a GPU of its own, but torch finds {found}. "
            "Start as many processes as there are GPUs: torchrun --nproc-per-node gpu."
        )
    return torch.device("cuda", own)
