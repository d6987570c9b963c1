"""The baseline runs, and its numbers make sense."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.data.pairs import write_pairs
from annoseq.sample import sample_pairs
from benchmarks.measure import PeakMemory, describe_machine, markdown_table
from benchmarks.notebook import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meddocan")
    for seed, name in enumerate(("train.csv", "dev.csv")):
        write_pairs(sample_pairs(100, seed=seed), folder / name, overwrite=False)
    return folder


@pytest.fixture(scope="module")
def text(data: Path) -> str:
    """The report of a short run."""
    return run_shortly(data, data / "report.md")


def run_shortly(data: Path, out: Path) -> str:
    threads = torch.get_num_threads()
    given = ["--steps", "5", "--seed", "7", "--threads", "1", "--data", str(data)]
    try:
        assert main([*given, "--rows", "100", "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(threads)
    return out.read_text(encoding="utf-8")


def read_figures(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\| (.+) \| (.+) \|$", text, re.M))


def test_the_figures_make_sense(text: str) -> None:
    figures = read_figures(text)

    def number(name: str) -> float:
        return float(figures[name].split()[0].replace(",", ""))

    assert number("steps") == 5
    assert number("training, pairs/s") > 0
    assert number("greedy prediction, lines/s") > 0
    tokens = number("training, target tokens/s (padding not counted)")
    assert 2 * number("training, pairs/s") < tokens < 60 * 2 * number("training, pairs/s")
    # Weights, gradients and two moments take 32 MB in all; a batch's logits and more come on top.
    assert 30 < number("peak memory above the baseline, training") < 2_000
    first, last = map(float, figures["loss of the first and the last step"].split(", "))
    assert last < first < 10
    for name in ("token accuracy", "exact match"):
        assert 0 <= number(f"dev, {name}, free-running") <= 1
    assert 0 <= number("dev, padded accuracy (the notebook's), free-running") <= 1


def test_the_report_says_how_it_was_made(text: str) -> None:
    for fact in ("train rows", "dev rows", "vocabulary", "seed: 7", "processor", "versions: torch"):
        assert f"\n- {fact}" in text
    assert "`python -m benchmarks.notebook --steps 5" in text


@pytest.mark.slow
def test_equal_seeds_give_equal_losses_and_scores(text: str, data: Path) -> None:
    once, again = read_figures(text), read_figures(run_shortly(data, data / "again.md"))
    same = [name for name in once if "loss" in name or "dev" in name]
    assert len(same) == 4
    assert [once[name] for name in same] == [again[name] for name in same]


def test_missing_data_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {tmp_path}: there is no train.csv.")
    assert message.endswith("Name their folder with --data.\n")
    assert message.count("\n") == 1


def test_too_few_rows_are_said_in_a_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--rows", "20"]) == 2
    assert "64 and 1 are needed. Raise --max-tokens or --rows." in capsys.readouterr().err


def test_an_unknown_device_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "abacus"]) == 2
    expected = "error: --device abacus: cpu, cuda, cuda:1, mps or auto was expected.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("name", ["--minutes", "--steps", "--rows", "--max-tokens", "--threads"])
def test_a_number_must_be_above_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "0"])
    assert stop.value.code == 2
    assert "a number above 0 was expected" in capsys.readouterr().err


def test_peak_memory_sees_what_is_gone_again() -> None:
    with PeakMemory(CPU) as memory:
        for _ in range(3):
            filled = torch.ones(64 * 2**20 // 4)
            assert filled.sum() > 0
            del filled
    assert 50 * 2**20 < memory.above_baseline < 200 * 2**20


def test_the_machine_in_words() -> None:
    facts = describe_machine(CPU)
    assert re.search(r", \d+ cores for this process$", facts["processor"])
    assert facts["versions"].startswith(f"torch {torch.__version__}, Python 3.")
    assert "GPU" not in facts
    assert markdown_table(["a"], [["1"]]) == "| a |\n| --- |\n| 1 |"
