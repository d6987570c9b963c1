"""Training loops in turns, their floating-point operations, and the report of both."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F

from annoseq.config import DeviceConfig
from annoseq.data.pairs import write_pairs
from annoseq.devices import ComputeDevice
from annoseq.sample import sample_pairs
from annoseq.tokenization.batching import collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from benchmarks import interleaved_training, notebook_loop, throughput
from benchmarks.interleaved_training import (
    NETWORKS,
    NOTEBOOK,
    Clock,
    MatmulRate,
    TrainingLoop,
    build_loop,
)
from benchmarks.notebook_loop import EMBEDDING, HIDDEN
from benchmarks.operations import count_operations
from benchmarks.throughput import main, table
from tests.tiny import STILL, TINY, TINY_ATTENTION, TINY_TRANSFORMER

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")
COMPUTE = ComputeDevice.select(DeviceConfig(device="cpu"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the networks tiny, except the notebook's, whose widths are constants."""
    networks = {"gru": TINY, "attention": TINY_ATTENTION, "transformer": TINY_TRANSFORMER}
    for name, (data, config) in NETWORKS.items():
        if config is not None:
            monkeypatch.setitem(NETWORKS, name, (data, networks[name.partition(",")[0]]))
    monkeypatch.setattr(interleaved_training, "SQUARE", 64)
    for module in (throughput, interleaved_training, notebook_loop):
        monkeypatch.setattr(module, "BATCH_SIZE", 16)
    for name in ("COUNTED", "WARM_UP", "REMEMBERED"):
        monkeypatch.setattr(throughput, name, 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("train.csv", "dev.csv")):
        write_pairs(sample_pairs(80, seed=seed), folder / name, overwrite=False)
    return folder


def test_a_short_run_writes_its_report(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def memory_of(name: str, arguments: object) -> int:
        asked.append(name)
        return 2**21 if name == NOTEBOOK else 2**20

    monkeypatch.setattr(throughput, "_memory_of", memory_of)
    out = tmp_path / "report.md"
    networks = [NOTEBOOK, "gru", "attention, bpe", "transformer"]
    given = ["--seconds", "0.02", "--turn", "0.01", "--data", str(data), "--out", str(out)]
    assert main([*given, "--networks", *networks]) == 0
    assert asked == networks
    text = out.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[0].removeprefix("| ") for row in rows] == networks
    assert rows[0][2] == "1.00"
    assert all(float(row[2]) > 1 for row in rows[1:])
    assert [row[6:] for row in rows[:2]] == [["2 MiB", "1.00 |"], ["1 MiB", "0.50 |"]]
    assert all(re.fullmatch(r"\d+%", row[5]) for row in rows)
    for fact in ("train rows", "vocabulary (word)", "vocabulary (bpe)", "product of", "seed: 42",
                 "processor", "versions: torch", "date", "command"):  # fmt: skip
        assert f"\n- {fact}" in text
    assert "processor time of the process" in text
    assert text.split("\n\n")[2] in capsys.readouterr().out


def test_the_memory_of_a_network_is_printed_as_json(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "--memory-of", NOTEBOOK]) == 0
    assert 2**20 < json.loads(capsys.readouterr().out)["bytes"] < 2**31


def test_too_few_rows_are_said_in_a_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--rows", "10", "--memory-of", "gru"]) == 2
    assert "16 and 1 are needed. Raise --max-tokens or --rows." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--seconds", "--turn", "--max-tokens"])
def test_a_number_must_be_above_0(name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "0"])
    assert stop.value.code == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns_from_batches_of_one_size(name: str, dataset: Dataset) -> None:
    loop = build_loop(name, dataset, COMPUTE, seed=1)
    pairs, tokens = loop.learn()
    assert pairs == 16
    assert tokens > 2 * pairs
    clock = Clock(CPU)
    loop.run(1e-9, clock)
    assert (loop.steps, loop.pairs) == (1, 16)
    assert loop.seconds > 0


def test_the_operations_of_the_gru_are_those_of_the_formula(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "gru", (NETWORKS["gru"][0], STILL))
    loop = build_loop("gru", dataset, COMPUTE, seed=1)
    rows = next(loop.batches)
    loop.batches = iter([rows])
    counted = count_operations(loop, steps=1)
    batch = collate(rows, loop.examples)
    assert batch.target is not None
    words, width = int(batch.source_lengths.sum()), STILL.embedding
    layers = 2 * 2 * 3 * 2 * width * width  # layers, products, gates, multiply and add
    tokens = sum(len(loop.examples[row].target) + 1 for row in rows)
    loss = 2 * tokens * width * len(dataset.tokenizer.target)
    expected = 3 * (layers * (words + batch.target.numel()) + loss) / tokens
    # The first state of a row takes no gradient, which weighs in short rows.
    assert counted == pytest.approx(expected, rel=0.08)


def test_the_notebooks_operations_count_its_padding(dataset: Dataset) -> None:
    loop = build_loop(NOTEBOOK, dataset, COMPUTE, seed=1)
    rows = next(loop.batches)
    loop.batches = iter([rows])
    counted = count_operations(loop, steps=1)
    batch = collate(rows, loop.examples)
    assert batch.target is not None
    encoder = 6 * HIDDEN * (EMBEDDING + 3 * HIDDEN)
    decoder = 6 * EMBEDDING * 4 * EMBEDDING + 2 * EMBEDDING * len(dataset.tokenizer.target)
    every = encoder * batch.source.numel() + decoder * batch.target.numel()
    tokens = sum(len(loop.examples[row].target) + 1 for row in rows)
    assert counted == pytest.approx(3 * every / tokens, rel=0.1)


def test_attention_that_torch_has_for_cpus_is_counted() -> None:
    inputs = torch.rand(3, 2, 4, 8, 16, requires_grad=True)

    def step(_: list[int]) -> None:
        query, key, value = inputs.unbind(0)
        attended: torch.Tensor = F.scaled_dot_product_attention(query, key, value)
        attended.sum().backward()  # type: ignore[no-untyped-call]

    loop = TrainingLoop([Seq2SeqEncoding([], [5])], iter([[0]]), step)
    product = 2 * 2 * 4 * 8 * 8 * 16
    assert count_operations(loop, steps=1) * 2 == 7 * product


def test_figures_are_ratios_to_the_first() -> None:
    loops = {name: TrainingLoop([], iter(()), print) for name in ("slow", "fast")}
    for loop, tokens in zip(loops.values(), (100, 300), strict=True):
        loop.tokens, loop.pairs, loop.seconds = tokens, 10, 2.0
    counted = {"slow": 2e9, "fast": 1e9}
    written = table(loops, counted, {"slow": 2**22, "fast": 2**20}, rate=200e9)
    assert "| slow | 50 | 1.00 | 5.0 | 2.0000 | 50% | 4 MiB | 1.00 |" in written
    assert "| fast | 150 | 3.00 | 5.0 | 1.0000 | 75% | 1 MiB | 0.25 |" in written


def test_the_rate_of_a_product() -> None:
    product = MatmulRate(CPU)
    product.run(1e-3, Clock(CPU))
    assert product.seconds >= 1e-3
    assert 1e6 < product.rate < 1e13
