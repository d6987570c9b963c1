"""Gradients of a tagger's feature tables, which processes on CPUs exchange row by row.

A batch reads a tenth of the rows of these tables, which are all but 2 of 18 MB of the weights.
Their gradients are exchanged, and clipped, as numbers of rows and values; AdamW, which changes
every row, then takes them in dense tensors (benchmarks/train_workers.md).

Shapes: R rows that have a gradient, E width of an embedding.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from annoseq.models.embeddings import FeatureTable, distinct_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.training.distributed import ProcessGroup


class TableGradients:
    """Gradients of the feature tables of an objective, averaged over processes on CPUs.

    Where one process trains, or on GPUs, there is nothing to do: torch does it. Else the gradients
    of the tables become sparse tensors.
    """

    def __init__(self, objective: nn.Module, processes: ProcessGroup) -> None:
        self._processes = processes
        is_needed = processes.count > 1 and processes.device.type == "cpu"
        modules = objective.modules() if is_needed else ()
        tables = [module for module in modules if isinstance(module, FeatureTable)]
        for table in tables:
            table.sparse = True
        self._weights = [table.weight for table in tables]
        self._starts = [0, *accumulate(map(len, self._weights))]
        self._dense = torch.empty(0)
        self._rows = torch.empty(0, dtype=torch.long)

    @contextmanager
    def averaged(self) -> Iterator[list[Tensor]]:
        """Yield the averaged values (R, E) of all rows, which the block may scale in place.

        After it, and until `clear`, the weights have dense gradients.
        """
        if not self._weights:
            yield []
            return
        rows, values = self._take_sparse()
        parts = self._processes.gather_rows(rows, values / self._processes.count)
        rows, values = (torch.cat(part) for part in zip(*parts, strict=True))
        # Every process adds up in the same order, so that the weights stay the same in all.
        self._rows, places = distinct_rows(rows, count=self._starts[-1])
        summed = values.new_zeros(len(self._rows), values.shape[1]).index_add_(0, places, values)
        yield [summed]
        self._make_dense(summed)

    def clear(self) -> None:
        """Remove the dense gradients of a step; their memory is used again."""
        if self._weights:
            self._dense.index_fill_(0, self._rows, 0.0)
            for weight in self._weights:
                weight.grad = None

    def _take_sparse(self) -> tuple[Tensor, Tensor]:
        """Return the numbers (R,) of rows, over all tables, and their gradients (R, E)."""
        rows, values = [], []
        for weight, start in zip(self._weights, self._starts, strict=False):
            assert weight.grad is not None
            # Not coalesced, which would sort the rows.
            rows.append(weight.grad._indices()[0] + start)
            values.append(weight.grad._values())
        return torch.cat(rows), torch.cat(values)

    def _make_dense(self, values: Tensor) -> None:
        if not len(self._dense):
            self._dense = values.new_zeros(self._starts[-1], values.shape[1])
        self._dense.index_copy_(0, self._rows, values)
        for weight, (start, end) in zip(self._weights, pairwise(self._starts), strict=True):
            weight.grad = self._dense[start:end]
