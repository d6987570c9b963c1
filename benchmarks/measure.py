"""Description of the machine, peak memory, and reports in Markdown."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import torch

from annoseq.atomic_io import atomic_file
from annoseq.cpu_threads import usable_cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAMPLED_EVERY = 0.005
"""Seconds. A training step on a CPU takes hundreds of milliseconds, its widest part tens."""


def describe_machine(device: torch.device) -> dict[str, str]:
    """Return processor, load, threads and versions.

    Call it before any work, so that the load is that of other processes.
    """
    facts = {
        "processor": f"{_processor()}, {usable_cores()} cores for this process",
        "load": f"{os.getloadavg()[0]:.1f} processes in the minute before",
        "threads of torch": str(torch.get_num_threads()),
        "versions": f"torch {torch.__version__}, Python {platform.python_version()}",
    }
    if device.type == "cuda":
        facts["GPU"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class PeakMemory:
    """Peak memory within a `with` block, above that at its start.

    On a CPU this is the resident set, sampled in a thread; on a GPU the memory allocated by torch.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._peak = 0
        self.baseline = 0

    @property
    def above_baseline(self) -> int:
        """Peak above the baseline, in bytes."""
        return max(0, self._peak - self.baseline)

    def __enter__(self) -> Self:
        _return_freed_memory()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self.baseline = torch.cuda.memory_allocated(self._device)
        else:
            self.baseline = _resident()
            self._sampler.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
        else:
            self._is_over.set()
            self._sampler.join()

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, _resident())
            if self._is_over.wait(_SAMPLED_EVERY):
                return


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def children_cpu_seconds() -> float:
    """Return the processor time of all child processes that have ended, in seconds."""
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def _return_freed_memory() -> None:
    """Return freed memory to the system; otherwise it would hide part of the rise."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; the first column is aligned left, the others right.

    >>> print(markdown_table(["what", "value"], [["pairs/s", "61.2"]]))
    | what | value |
    | --- | ---: |
    | pairs/s | 61.2 |
    """
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def list_facts(facts: Mapping[str, str]) -> str:
    """Return facts as a Markdown list."""
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def write_report(
    path: Path, *, title: str, about: str, tables: Sequence[str], facts: Mapping[str, str]
) -> None:
    """Replace the report of a benchmark.

    Raises:
        OutputError: the file cannot be written.
    """
    text = "\n\n".join([f"# {title}", about, *tables, list_facts(facts)])
    with atomic_file(path, overwrite=True) as new:
        new.write_text(text + "\n", encoding="utf-8")
