"""Device, precision, threads and peak memory of computation."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from threadpoolctl import ThreadpoolController

from annoseq.config import DeviceConfig
from annoseq.cpu_threads import worker_thread
from annoseq.errors import OptionError
from annoseq.torchrun import torchrun_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_DEFAULT_THREADS = torch.get_num_threads()
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class ComputeDevice:
    """A device, and the numeric precision of the network on it."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def select(cls, config: DeviceConfig | str | None = None) -> ComputeDevice:
        """Return the configured device; `auto` is the accelerator if there is one, else the CPU.

        Each of several processes of a torchrun launch takes a GPU of its own.

        Raises:
            OptionError: the device is not available, or does not support the precision.
        """
        config = DeviceConfig.of(config)
        device = _select_device(config.device)
        return cls(device, _select_dtype(config.precision, device))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the network in its precision, and on one thread of a CPU (see `one_thread`)."""
        autocast = torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )
        with self.one_thread(), autocast:
            yield

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Use one thread of torch on a CPU, unless the user has set their number.

        The steps of these networks are small. With two threads on two cores of which one is busy,
        each waits for the other: training was 3.4 times slower for a tagger, 2.7 for `gru`, 2.5
        for `attention` and 2.0 for the transformer. On an idle machine, two threads were 1.15,
        1.45, 1.57 and 1.66 times as fast (benchmarks/threads.md). The choice does not depend on a
        measurement at the start, so that a training repeats bit for bit.

        A second core, where there is one, runs the worker of `annoseq.cpu_threads`: it takes whole
        parts of a training step, with the same results, and no core spins for it. Several
        processes of a launcher have the cores for themselves.

        numpy has one thread, too: its results differ in their last digits by the number of threads.
        """
        before = torch.get_num_threads()
        if self.device.type != "cpu" or are_threads_chosen():
            yield
            return
        is_alone = torchrun_environment().world_size == 1
        torch.set_num_threads(1)
        try:
            with _numpy_threads().limit(limits=1), worker_thread() if is_alone else nullcontext():
                yield
        finally:
            torch.set_num_threads(before)

    def scaler(self) -> torch.amp.GradScaler:
        """Return the gradient scaler for float16; it does nothing for other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def peak_memory(self) -> int:
        """Return the peak memory so far in bytes: of the GPU, or of this process on the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return peak_resident_memory()


@cache
def _numpy_threads() -> ThreadpoolController:
    """Return the control of the threads of numpy's linear algebra."""
    return ThreadpoolController().select(user_api="blas")


def are_threads_chosen() -> bool:
    """True if the user has set the number of threads, by the environment or by torch."""
    return any(name in os.environ for name in _THREAD_VARIABLES) or (
        torch.get_num_threads() != _DEFAULT_THREADS
    )


def peak_resident_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # psutil has no peak on other systems

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _select_device(name: str) -> torch.device:
    """Return the device of a name or `auto`.

    Raises:
        OptionError: the device is not available.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if accelerator else 0
    device = (accelerator or torch.device("cpu")) if name == "auto" else torch.device(name)
    if torchrun_environment().world_size > 1:
        device = _local_device(device, count=count)
    if device.type == "cpu":
        return device
    if accelerator is None or accelerator.type != device.type or (device.index or 0) >= count:
        raise OptionError(
            f"--device {name} was asked for, but torch finds "
            f"{f'{count} x {accelerator}' if accelerator else 'no accelerator'} here. "
            "Use --device auto, or install a build of torch for that device."
        )
    return device


def _select_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the data type of a precision or `auto` on a device.

    Raises:
        OptionError: the device does not support the precision.
    """
    if precision == "auto":
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if has_bfloat16 else torch.float32
    if device.type == "cpu" and precision != "float32":
        raise OptionError(f"--precision {precision} needs a GPU; the CPU computes in float32 here.")
    return _DTYPES[precision]


def _local_device(device: torch.device, *, count: int) -> torch.device:
    """Return the device of this process, one of several of a torchrun launch.

    Raises:
        OptionError: the processes would have to share a device.
    """
    if device.type == "cpu":
        return device
    local_rank = torchrun_environment().local_rank
    if str(device) != "cuda":
        raise OptionError(
            f"several processes cannot train on the one device {device}. Use --device cuda, of "
            "which each takes its own, or --device cpu, or start one process."
        )
    if local_rank >= count:
        raise OptionError(
            f"process {local_rank + 1} of this machine needs a GPU of its own, but torch finds "
            f"{count}. "
            "Start as many processes as there are GPUs: torchrun --nproc-per-node gpu."
        )
    return torch.device("cuda", local_rank)
