"""Faults that are hard to come by."""

from __future__ import annotations

from typing import Never

import torch


def run_out_of_memory(*_: object, **__: object) -> Never:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
