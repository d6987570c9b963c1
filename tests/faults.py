"""Faults that are hard to come by: a GPU without memory, a full disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def run_out_of_memory(*_: object, **__: object) -> Never:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit files to `size` bytes: writing more fails as on a full disk, with "File too large"."""
    resource = pytest.importorskip("resource", reason="Windows has no limits of resources")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
