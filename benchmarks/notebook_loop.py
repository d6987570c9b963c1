"""The 2019 notebook's training step and greedy prediction, literally, in plain PyTorch.

This is the baseline that stronger models are measured against, so it is kept as it is, faults
included. The network is `Seq2SeqRNN` of the fastai v1 lesson that the notebook grew from: the
encoder reads the padding, the decoder begins with the unknown symbol, is fed its own best token
and nothing else, and its output weights are assigned, not tied. Rows are batched as fastai's
`Seq2SeqDataBunch` did it. Nothing of annoseq's models is used: only rows, ids and one score.

Four things differ, none of them to the baseline's disadvantage. Sequences close with an end
symbol instead of opening with one that begins, so that targets are those of annoseq's models. In
training the decoder stops at the batch's own target length, not at a limit. The embeddings are
random, of fastText's scale, because no vectors are at hand. The rate is constant: a one-cycle
schedule would have to know beforehand how many steps there is time for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.tokenization.vocabulary import PAD, UNKNOWN

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

EMBEDDING, HIDDEN, LAYERS = 300, 256, 2
BATCH_SIZE = 64
LEARNING_RATE = 1e-3


class NotebookModel(nn.Module):
    """The lesson's `Seq2SeqRNN`; its names are kept."""

    def __init__(self, source_size: int, target_size: int) -> None:
        super().__init__()
        self.emb_enc = nn.Embedding(source_size, EMBEDDING, padding_idx=PAD)
        self.emb_enc_drop = nn.Dropout(0.15)
        self.gru_enc = nn.GRU(EMBEDDING, HIDDEN, LAYERS, dropout=0.25, batch_first=True)
        self.out_enc = nn.Linear(HIDDEN, EMBEDDING, bias=False)
        self.emb_dec = nn.Embedding(target_size, EMBEDDING, padding_idx=PAD)
        self.gru_dec = nn.GRU(EMBEDDING, EMBEDDING, LAYERS, dropout=0.1, batch_first=True)
        self.out_drop = nn.Dropout(0.35)
        self.out = nn.Linear(EMBEDDING, target_size)
        # torch's own N(0, 1) is worse: a loss of 9.7 instead of 3.9 after 26 steps on MEDDOCAN.
        for embedding in (self.emb_enc, self.emb_dec):
            nn.init.normal_(embedding.weight, std=EMBEDDING**-0.5)
            nn.init.zeros_(embedding.weight[PAD])
        # Two parameters, each with its own gradient and its own step of the optimiser. On a CPU
        # they share their numbers, which are stepped twice; moved to a GPU, they part ways.
        self.out.weight.data = self.emb_dec.weight.data

    def forward(self, source: Tensor, *, length: int, stops_at_padding: bool = False) -> Tensor:
        """Read `source` (B, S) and return the logits (B, O, V) of at most `length` steps."""
        hidden = source.new_zeros(LAYERS, len(source), HIDDEN, dtype=torch.float32)
        _, hidden = self.gru_enc(self.emb_enc_drop(self.emb_enc(source)), hidden)
        hidden = self.out_enc(hidden)  # (L, B, E)
        last = torch.full_like(source[:, 0], UNKNOWN)  # the notebook's bos_idx=0 is its xxunk
        outputs: list[Tensor] = []
        for _ in range(length):
            top, hidden = self.gru_dec(self.emb_dec(last).unsqueeze(1), hidden)
            outputs.append(self.out(self.out_drop(top[:, 0])))  # (B, V)
            last = outputs[-1].max(1)[1]
            if stops_at_padding and bool((last == PAD).all()):
                break
        return torch.stack(outputs, dim=1)


def seq2seq_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, O, V) over the padded rectangle.

    The shorter of the two is padded, the logits with the padding's id as a number, as in fastai.
    """
    missing = target.shape[1] - output.shape[1]
    if missing > 0:  # padding by nothing would copy the logits, which the notebook does not
        output = F.pad(output, (0, 0, 0, missing), value=PAD)
    elif missing < 0:
        target = F.pad(target, (0, -missing), value=PAD)
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def seq2seq_acc(output: Tensor, target: Tensor) -> float:
    """Return the share of the padded rectangle where ids (B, O) and targets (B, T) agree."""
    missing = target.shape[1] - output.shape[1]
    output = F.pad(output, (0, max(0, missing)), value=PAD)
    target = F.pad(target, (0, max(0, -missing)), value=PAD)
    return (output == target).float().mean().item()


def make_optimizer(model: NotebookModel) -> torch.optim.Optimizer:
    """Return fastai v1's default: Adam with betas .9 and .99, all weights decayed by .01."""
    return torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.01
    )


def train_step(
    model: NotebookModel, optimizer: torch.optim.Optimizer, source: Tensor, target: Tensor
) -> float:
    """Take one step on ids (B, S) and (B, T), and return the loss before it."""
    loss = seq2seq_loss(model(source, length=target.shape[1]), target)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@torch.no_grad()
def predict(model: NotebookModel, source: Tensor, *, limit: int) -> Tensor:
    """Return the best ids (B, O), until every row's is padding or there are `limit`."""
    output: Tensor = model(source, length=limit, stops_at_padding=True)
    return output.argmax(2)


def sortish_batches(
    examples: Sequence[Seq2SeqEncoding], generator: random.Random
) -> Iterator[list[int]]:
    """Yield an epoch of full batches in the order of fastai's `SortishSampler(bs=bs // 2)`.

    Shuffled rows are sorted by source length in pools of 50 chunks, and the chunks shuffled, the
    longest first. A chunk is half a batch; the rows left over are dropped.
    """
    rows = list(range(len(examples)))
    generator.shuffle(rows)
    chunk, pool = BATCH_SIZE // 2, BATCH_SIZE // 2 * 50
    pools = [rows[start : start + pool] for start in range(0, len(rows), pool)]
    rows = [row for each in pools for row in by_length(examples, each)]
    chunks = [rows[start : start + chunk] for start in range(0, len(rows), chunk)]
    longest = max(range(len(chunks)), key=lambda i: len(examples[chunks[i][0]].source))
    chunks[0], chunks[longest] = chunks[longest], chunks[0]
    others = chunks[1:]
    generator.shuffle(others)
    rows = [row for each in (chunks[0], *others) for row in each]
    for start in range(0, len(rows) - BATCH_SIZE + 1, BATCH_SIZE):
        yield rows[start : start + BATCH_SIZE]


def by_length(examples: Sequence[Seq2SeqEncoding], rows: Sequence[int]) -> list[int]:
    """Sort rows by source length, the longest first, as fastai's `SortSampler` did."""
    return sorted(rows, key=lambda row: -len(examples[row].source))
