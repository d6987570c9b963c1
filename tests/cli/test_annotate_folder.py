"""`annoseq annotate` over the parts of a folder."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.cli.command import Result, refusal, run, snapshot, start
from tests.scale.folders import lines, outputs, write_csv, write_parts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def parts(shelf: Path) -> Path:
    return write_parts(shelf / "parts", parts=4)


@pytest.fixture(scope="module")
def whole(shelf: Path, model: Path, parts: Path) -> dict[str, bytes]:
    out = shelf / "whole-parts"
    assert annotate(model, parts, out).code == 0
    return outputs(out)


def annotate(model: Path, texts: object, out: object, *options: object) -> Result:
    return run("annotate", model, texts, "--out", out, "--device", "cpu", *options)


def test_a_folder_of_tables_is_annotated_part_by_part(
    model: Path, parts: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    first = annotate(model, parts, out)
    assert (first.code, first.out) == (0, "")
    assert first.err.startswith(f"Wrote {out}: 4 parts, 24 texts, ")
    assert outputs(out) == whole
    assert sorted(whole) == [
        "config.json",
        *[f"parts/{name}.csv" for name in ("0/000", "0/003", "1/001", "2/002")],
    ]
    again = annotate(model, parts, out)
    assert again.err.startswith(f"Wrote {out}: 4 parts (4 done before), 24 texts, ")
    assert outputs(out) == whole


def test_a_part_equals_the_annotations_of_its_file(
    model: Path, parts: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "one.csv"
    assert annotate(model, parts / "1/001.csv", out).code == 0
    assert out.read_bytes() == whole["parts/1/001.csv"]


@pytest.mark.parametrize("pattern", ["**/*.csv", "[0-9]/*.csv"])
def test_patterns_and_addresses_name_parts(
    pattern: str, model: Path, parts: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    assert annotate(model, f"file://{parts}/{pattern}", f"file://{out}").code == 0
    assert outputs(out) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_texts_are_parts_if_an_engine_is_named(model: Path, tmp_path: Path) -> None:
    for name in ("b/2.txt", "1.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("Dr. Ames\r\n")
    out = tmp_path / "out"
    assert annotate(model, tmp_path / "in", out, "--engine", "local").code == 0
    assert sorted(outputs(out)) == ["config.json", "parts/1.txt", "parts/b/2.txt"]
    plain = tmp_path / "plain"
    assert annotate(model, tmp_path / "in", plain).code == 0
    assert snapshot(plain) == snapshot(out / "parts")


def test_parquet_parts_become_parquet_parts(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for number in range(2):
        table = source / f"{number}.parquet"
        source.mkdir(exist_ok=True)
        assert run("sample", table, "--rows", 3, "--seed", number).code == 0
    out = tmp_path / "out"
    assert annotate(model, source, out, "--keep-columns", "annotated_text").code == 0
    rows = pq.read_table(out / "parts" / "0.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    single, lines_ = tmp_path / "single.parquet", tmp_path / "single.jsonl"
    options = ("--keep-columns", "annotated_text")
    assert annotate(model, source / "0.parquet", single, *options).code == 0
    assert pq.read_table(single).to_pylist() == rows
    assert annotate(model, source / "0.parquet", lines_, *options).code == 0
    assert [row["annotated"] for row in lines(lines_)] == [row["annotated"] for row in rows]


def test_errors_and_parts_left_out_are_counted(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    rows = [{"orig_text": "Dr. Ames"}, {"orig_text": None}]
    (source / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in range(6):
        (source / f"{number}.jsonl").write_text('{"other": "x"}\n')
    (source / "notes.md").touch()
    failed = annotate(model, source, out)
    assert failed.code == 2
    assert "1 text failed; " + f"{out}/errors says which and why\n" in failed.err
    assert "1 file of other formats are not read\n" in failed.err
    assert "annoseq: 6 parts could not be done, and 1 are. Mend or remove the files" in failed.err
    skipped = annotate(model, source, out, "--skip-bad")
    assert skipped.code == 0
    assert "6 parts could not be read and were left out (--skip-bad):\n" in skipped.err
    assert "  and 1 more\n" in skipped.err
    assert f"Wrote {out}: 7 parts (1 done before), 1 text, " in skipped.err
    (source / "0.jsonl").unlink()
    assert (
        f"left in {out}: 1 part without an input any more"
        in annotate(model, source, out, "--skip-bad").err
    )


def test_a_monthly_refresh_does_what_is_new(model: Path, tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=2), tmp_path / "out"
    assert annotate(model, source, out).code == 0
    before = outputs(out)
    write_csv(source / "new.csv", ["Dr. Bond came."])
    changed = ("--chunk-size", 7)
    assert "was begun with chunk_size 1000, and now it is 7" in refusal(
        annotate(model, source, out, *changed)
    )
    result = annotate(model, source, out, *changed, "--only-new")
    assert f"Wrote {out}: 3 parts (2 done before), 13 texts, " in result.err
    after = outputs(out)
    del after["parts/new.csv"], after["config.json"], before["config.json"]
    assert after == before
    result = annotate(model, source, out, *changed, "--overwrite")
    assert f"Wrote {out}: 3 parts, 13 texts, " in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--address", "auto"), "--address is for Ray. Add --engine ray, or leave it off."),
        (("--concurrency", 2), "--concurrency is for Ray. Add --engine ray, or leave it off."),
        (("--gpus-per-worker", 1), "--gpus-per-worker is for Ray. Add --engine ray, or leave it"),
        (("--only-new",), "--only-new goes on with the parts of an earlier run, and there is none"),
        (("--only-new", "--overwrite"), "--only-new leaves what is done, and --overwrite does it"),
        (("--resume",), "--resume is for one input: a run over a folder of parts goes on where it"),
        (("--format", "xlsx"), "--format xlsx: parts of tables are written as jsonl, csv or parq"),
        (("--format", "inline"), "--format inline: parts of tables are written as jsonl, csv or "),
        (
            ("--format", "jsonl", "--bom"),
            "--bom is for CSV, and the format is jsonl. Leave it off.",
        ),
        (("--lossy",), "--lossy has no meaning for the format csv. Leave it off."),
        (("--concurrency", 0), "Give a number of at least 1."),
        (("--gpus-per-worker", 0), "Give a number above 0, such as 0.5 for two workers on a GPU."),
    ],
)
def test_options_that_contradict_are_refused(
    options: tuple[object, ...], message: str, model: Path, parts: Path, tmp_path: Path
) -> None:
    assert message in refusal(annotate(model, parts, tmp_path / "out", *options))
    assert list(tmp_path.iterdir()) == []


def test_paths_that_contradict_are_refused(model: Path, parts: Path, table: Path) -> None:
    for texts, out in (
        (parts, parts / "out"),
        (f"{parts}/*/*.csv", parts / "out"),
        (f"file://{parts}", f"file://{parts}/out"),
        (parts, parts.parent),
    ):
        message = refusal(annotate(model, texts, out))
        assert "which is read, lie in each other. Name a folder apart." in message
    assert refusal(run("annotate", model, parts)) == (
        "the input is read as parts, and a folder of parts is written. Name it with --out."
    )
    assert refusal(annotate(model, table, parts / "x.csv", "--only-new")) == (
        "--only-new is for a folder of parts. Name a folder of tables, a pattern in quotes, or "
        "add --engine."
    )


def test_ray_that_is_not_installed_is_named(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refusal(annotate(model, parts, tmp_path / "out", "--engine", "ray")) == (
        "--engine ray needs Ray, which is not installed. Run: pip install 'annoseq[scale]'"
    )


@pytest.mark.e2e
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_cut_short_goes_on(by: signal.Signals, model: Path, tmp_path: Path) -> None:
    source, out, other = write_parts(tmp_path / "in", parts=60), tmp_path / "out", tmp_path / "x"
    command = start("annotate", model, source, "--out", out, "--device", "cpu")
    while len(list((out / "manifest").rglob("*.json"))) < 3:
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    command.send_signal(by)
    _, err = command.communicate(timeout=60)
    assert "Traceback" not in err
    if by == signal.SIGINT:
        assert command.returncode == 130
        assert err.endswith(
            "interrupted. Run the same command again to go on with what is missing.\n"
        )
    assert len(list((out / "manifest").rglob("*.json"))) < 60
    result = annotate(model, source, out)
    assert " done before), 360 texts, " in result.err
    assert annotate(model, source, other).code == 0
    assert outputs(out) == outputs(other)


@pytest.mark.e2e
def test_progress_shows_on_a_terminal(model: Path, parts: Path, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    command = start(
        "annotate",
        model,
        parts,
        "--out",
        tmp_path / "out",
        stderr=terminal,
        stdout=subprocess.DEVNULL,
    )
    assert command.wait(timeout=120) == 0
    seen = b""
    while b"Wrote " not in seen:
        seen += os.read(controller, 1 << 16)
    assert b"parts" in seen
    assert b"4/4" in seen
