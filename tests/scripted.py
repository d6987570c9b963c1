"""A network that writes what a test tells it to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.tokenization.batching import Batch


class ScriptState(NamedTuple):
    """Outputs to write for the rows of a batch (B, O), and the number of steps already written."""

    script: Tensor
    written: int


class Scripted(nn.Module):
    """Writes `script[i]` for row `i` of a set, in whatever batch the row comes."""

    def __init__(self, script: Sequence[Sequence[int]], *, size: int) -> None:
        super().__init__()
        self.script = [torch.tensor(row, dtype=torch.long) for row in script]
        self.size = size

    def start(self, batch: Batch) -> ScriptState:
        rows = [self.script[row] for row in batch.rows]
        return ScriptState(pad_sequence(rows, batch_first=True), 0)

    def step(self, state: ScriptState, last: Tensor) -> ScriptState:
        return ScriptState(state.script, state.written + 1)

    def scores(self, state: ScriptState, columns: Tensor | None = None) -> Tensor:
        script = F.pad(state.script, (0, 1))
        place = min(state.written - 1, script.shape[1] - 1)
        scores = F.one_hot(script[:, place], self.size).float().log_softmax(-1)
        return scores if columns is None else scores.gather(1, columns)

    def select(self, state: ScriptState, rows: Tensor) -> ScriptState:
        return ScriptState(state.script[rows], state.written)


def as_network(scripted: Scripted) -> AnySeq2SeqNetwork:
    """Let it stand where a network is asked for; decoding asks for a stepper only."""
    return cast("AnySeq2SeqNetwork", scripted)
