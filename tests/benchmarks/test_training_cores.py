from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from annoseq import devices
from annoseq.data.pairs import write_pairs
from annoseq.sample import sample_pairs
from benchmarks import training_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "_DEFAULT_THREADS", torch.get_num_threads())
    monkeypatch.setattr(training_cores, "usable_cores", lambda: 2)


@pytest.mark.slow
@pytest.mark.usefixtures("no_choice")
def test_both_trainings_take_turns_and_end_with_the_same_weights(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        write_pairs(sample_pairs(20, seed=1), tmp_path / f"{name}.csv", overwrite=False)
    out = tmp_path / "report.md"
    words = ["--data", str(tmp_path), "--rows", "20", "--rounds", "1", "--out", str(out)]
    assert training_cores.main(words) == 0
    report = out.read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in report.splitlines() if line.startswith("| ")]
    expected = [["idle", "1"], ["idle", "2"], ["busy", "1"], ["busy", "2"]]
    assert [[cell.strip() for cell in row] for row in rows[2:]] == expected
    assert "weights after 3 epochs: equal, bit for bit" in report
    assert "`python -m benchmarks.training_cores --data" in report


def test_threads_that_are_set_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(training_cores, "usable_cores", lambda: 2)
    assert training_cores.main([]) == 2
    assert capsys.readouterr().err == (
        "error: this process may use 2 cores, and the number of threads is set. "
        "Run it on two cores, without OMP_NUM_THREADS and MKL_NUM_THREADS.\n"
    )


@pytest.mark.parametrize("option", ["--rows", "--rounds"])
def test_numbers_must_be_above_zero(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        training_cores.main([option, "0"])
    assert f"{option}: a number above 0 was expected" in capsys.readouterr().err
