"""The benchmark of folder runs: its parts, its comparison of bytes and its estimate."""

from __future__ import annotations

import csv
from pathlib import Path

import psutil
import pytest

from benchmarks.scale import (
    ProcessSampler,
    Run,
    command,
    estimate,
    parse_arguments,
    record_times,
    same_bytes,
    write_parts,
)

RUN = Run("Ray, 1 worker", 20.0, 5.0, 12.0, 10.0, 2**30)


def test_a_table_is_repeated_and_cut_into_parts(tmp_path: Path) -> None:
    table = tmp_path / "dev.csv"
    table.write_text("orig_text\na\nb\nc\n")
    assert write_parts(table, tmp_path / "in", times=2, parts=3, limit=2) == 4
    texts = []
    for path in sorted((tmp_path / "in").iterdir()):
        with path.open(newline="") as file:
            texts += [row["orig_text"] for row in csv.DictReader(file)]
    assert sorted(texts) == ["a", "a", "b", "b"]


def test_the_bytes_of_runs_are_compared_but_for_the_manifest(tmp_path: Path) -> None:
    for name, time in (("one", "1"), ("two", "2")):
        for folder, content in (("manifest", time), ("parts", "x")):
            (tmp_path / name / folder).mkdir(parents=True)
            (tmp_path / name / folder / "a.json").write_text(content)
    assert same_bytes(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "parts" / "b.json").touch()
    assert not same_bytes(tmp_path / "one", tmp_path / "two")
    assert len(record_times(tmp_path / "one")) == 1


def test_rates_divide_by_cpu_seconds() -> None:
    assert RUN.rate(1_000) == 100
    cells = RUN.cells(1_000, Run("", 1.0, 1.0, 1.0, 5.0, 1))
    assert cells == [
        *["Ray, 1 worker", "20 s", "50", "5 s", "12 s", "2 s", "100", "0.50", "1,024 MiB"]
    ]


def test_the_estimate_scales_with_cores() -> None:
    text = estimate(100_000, RUN, 2.0)
    assert "at 100,000 characters a CPU second" in text
    assert "about 0.6 TB" in text
    assert "| 1 | 833.3 | 33,333 | 1.0 GiB |" in text
    assert "| 1,000 | 0.8 | 33 | 1,000.0 GiB |" in text


def test_a_process_is_sampled() -> None:
    sampler = ProcessSampler(psutil.Process(), has_ray=False)
    sampler._sample(psutil.Process())
    assert 0 < sampler.worker_cpu == sampler.cpu
    assert sampler.peak > 2**20
    sampler = ProcessSampler(psutil.Process(), has_ray=True)
    sampler._sample(psutil.Process())
    assert (sampler.worker_cpu, sampler.peak) == (0, 0)


def test_commands_name_the_engine() -> None:
    model, source, out = Path("m"), Path("in"), Path("out")
    assert "--engine" not in command(model, source, out, 0)
    assert command(model, source, out, 2)[-4:] == ["--engine", "ray", "--concurrency", "2"]


def test_a_number_must_be_above_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--model", "m", "--parts", "0"])
    assert "a number above 0 was expected" in capsys.readouterr().err
