"""The baseline learns, and its faults are the notebook's."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F

from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import PAD
from benchmarks import notebook_loop as notebook
from benchmarks.notebook_loop import NotebookModel, predict, train_step

pytestmark = pytest.mark.e2e


@pytest.fixture
def model() -> NotebookModel:
    torch.manual_seed(1)
    return NotebookModel(20, 30)


def ids(*shape: int, size: int) -> torch.Tensor:
    return torch.randint(4, size, shape, generator=torch.Generator().manual_seed(2))


def test_the_encoder_reads_the_padding(model: NotebookModel) -> None:
    source = ids(3, 5, size=20)
    longer = F.pad(source, (0, 4), value=PAD)
    model.eval()
    assert not torch.equal(model(source, length=2), model(longer, length=2))


def test_output_weights_are_two_parameters_with_one_storage(model: NotebookModel) -> None:
    assert model.out.weight is not model.emb_dec.weight
    assert model.out.weight.data_ptr() == model.emb_dec.weight.data_ptr()
    assert len(list(model.parameters())) == 1 + 8 + 1 + 1 + 8 + 2


def test_training_runs_to_the_targets_length_and_learns(model: NotebookModel) -> None:
    optimizer = notebook.make_optimizer(model)
    source, target = ids(4, 6, size=20), ids(4, 7, size=30)
    assert model(source, length=target.shape[1]).shape == (4, 7, 30)
    losses = [train_step(model, optimizer, source, target) for _ in range(15)]
    assert abs(losses[0] - math.log(30)) < 1
    assert losses[-1] < losses[0]


def test_prediction_stops_when_all_rows_have_written_padding(model: NotebookModel) -> None:
    model.eval()
    assert predict(model, ids(3, 5, size=20), limit=9).shape == (3, 9)
    torch.nn.init.zeros_(model.out.weight)
    torch.nn.init.zeros_(model.out.bias)
    assert predict(model, ids(3, 5, size=20), limit=9).tolist() == [[PAD]] * 3


def test_the_shorter_side_is_padded() -> None:
    logits, target = torch.zeros(2, 3, 5), ids(2, 4, size=5)
    for output in (logits, torch.zeros(2, 6, 5)):
        assert notebook.seq2seq_loss(output, target).item() == pytest.approx(math.log(5))
    output = torch.tensor([[4, 5, PAD, PAD]])
    assert notebook.seq2seq_acc(output, torch.tensor([[4, 6]])) == 0.75
    assert notebook.seq2seq_acc(output[:, :1], torch.tensor([[4, PAD, 7, 7]])) == 0.5


def test_an_epoch_is_full_batches_of_two_chunks_the_longest_row_first() -> None:
    generator = random.Random(3)
    examples = [Seq2SeqEncoding([5] * generator.randint(1, 50), [5]) for _ in range(300)]
    batches = list(notebook.sortish_batches(examples, generator))
    rows = [row for batch in batches for row in batch]
    assert [len(batch) for batch in batches] == [64] * 4
    assert len(set(rows)) == len(rows)
    assert len(examples[rows[0]].source) == max(len(example.source) for example in examples)
    spread = [len(examples[row].source) for row in rows[32:64]]
    assert spread == sorted(spread, reverse=True)
