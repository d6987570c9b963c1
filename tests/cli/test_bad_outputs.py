"""An output that cannot be written, or is there already, is refused and leaves no trace."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annoseq.output_lock import OutputLock
from tests.cli.command import TINY, refusal, run, snapshot
from tests.faults import file_size_limit

COMMANDS: dict[str, tuple[str, ...]] = {
    "sample": ("sample", "OUT.csv", "--rows", "5"),
    "prepare": ("prepare", "TABLE", "--out", "OUT"),
    "find-lr": ("find-lr", "DATA", "--plot", "OUT.png", *TINY),
    "train": ("train", "DATA", "--out", "OUT", *TINY),
    "train --plot": ("train", "DATA", "--out", "MODEL.new", "--plot", "OUT.png", *TINY),
    "evaluate --json": ("evaluate", "MODEL", "TABLE", "--json", "OUT.json"),
    "evaluate --out": ("evaluate", "MODEL", "TABLE", "--out", "OUT.csv"),
    "evaluate --out parquet": ("evaluate", "MODEL", "TABLE", "--out", "OUT.parquet"),
}
every_command = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture
def places(table: Path, short: Path, model: Path, tmp_path: Path) -> dict[str, Path]:
    """Return copies of what commands read, all in one folder."""
    shutil.copy(table, tmp_path / "pairs.csv")
    shutil.copytree(short, tmp_path / "data")
    shutil.copytree(model, tmp_path / "model")
    return {
        name: tmp_path / path
        for name, path in {"TABLE": "pairs.csv", "DATA": "data", "MODEL": "model"}.items()
    }


def words(name: str, places: dict[str, Path], out: Path) -> list[str]:
    """Fill the places into a command, which is to write at `out` (and a suffix)."""
    found = []
    for word in COMMANDS[name]:
        stem, dot, suffix = word.partition(".")
        known = {**places, "OUT": out}.get(stem)
        found.append(f"{known}{dot}{suffix}" if known else word)
    return found


def target(name: str, out: Path) -> Path:
    """Return where a command writes."""
    return Path(next(word for word in words(name, {}, out) if word.startswith(str(out))))


@every_command
def test_what_is_there_is_kept(name: str, places: dict[str, Path], tmp_path: Path) -> None:
    path = target(name, tmp_path / "out")
    path.write_text("mine")
    before = snapshot(tmp_path)
    assert refusal(run(*words(name, places, tmp_path / "out"))) == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert snapshot(tmp_path) == before


@every_command
def test_what_is_there_is_replaced_when_asked(
    name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    path = target(name, tmp_path / "out")
    if path.suffix:
        path.write_text("old")
    else:
        path.mkdir()
        (path / "config.json").write_text("old")
    result = run(*words(name, places, tmp_path / "out"), "--overwrite")
    assert result.code == 0
    content = path if path.suffix else path / "config.json"
    assert len(content.read_bytes()) > len("old")


@pytest.mark.parametrize("name", ["prepare", "train"])
def test_the_work_of_others_is_not_replaced(
    name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    thesis = tmp_path / "out"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("mine")
    before = snapshot(tmp_path)
    for path in (thesis, places["TABLE"]):
        assert refusal(run(*words(name, places, path), "--overwrite")) == (
            f"{path} was not written by annoseq, so that --overwrite does not replace it. "
            "Choose another name, or remove it first."
        )
    assert snapshot(tmp_path) == before


@every_command
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("pairs.csv", "Not a directory"),
        ("/proc/self", ""),  # read-only, for root too
    ],
)
def test_a_place_that_cannot_be_written(
    place: str, reason: str, name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / place / "out"
    before = snapshot(tmp_path)
    message = refusal(run(*words(name, places, out)))
    assert message.startswith(f"{target(name, out)} cannot be written: {reason}")
    assert message.endswith(
        ". Nothing was changed; choose a folder that exists, is writable and has room."
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own(out: str, data: Path) -> None:
    message = refusal(run("train", data, "--out", out, "--overwrite", *TINY))
    assert message == f"{out} has no name of its own. Name a file or folder within it."


@pytest.mark.parametrize(
    "name", ["prepare", "train", "annotate", "redact", "export", "cross-fit", "join", "audit"]
)
def test_what_another_run_is_writing_is_refused(
    name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    """A lock excludes other threads as it does other processes."""
    commands: dict[str, tuple[object, ...]] = {
        "prepare": ("prepare", places["TABLE"]),
        "train": ("train", places["DATA"], *TINY),
        "annotate": ("annotate", places["MODEL"], places["TABLE"]),
        "redact": ("redact", places["MODEL"], places["TABLE"]),
        "export": ("export", "brat", places["TABLE"]),
        "cross-fit": ("ensemble", "cross-fit", places["TABLE"]),
        "join": ("ensemble", "join", places["MODEL"], places["MODEL"]),
        "audit": ("audit", places["TABLE"]),
    }
    out = tmp_path / "new" / ("out" if name == "redact" else "out.csv")
    with OutputLock(out):
        before = snapshot(tmp_path)
        target = (out,) if name == "export" else ("--out", out)
        with ThreadPoolExecutor(1) as other:
            result = other.submit(run, *commands[name], *target, "--overwrite").result()
        assert result.code == 2
        assert result.err.splitlines()[-1] == (
            f"annoseq: {out} is being written by process {os.getpid()}. "
            "Wait until it ends, or choose another name."
        )
        assert snapshot(tmp_path) == before
    assert not out.parent.exists()


@pytest.mark.parametrize("name", ["train", "annotate", "redact"])
def test_a_finished_run_has_nothing_to_resume(
    name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    commands: dict[str, tuple[object, ...]] = {
        "train": ("train", places["DATA"], *TINY),
        "annotate": ("annotate", places["MODEL"], places["TABLE"]),
        "redact": ("redact", places["MODEL"], places["TABLE"]),
    }
    out = tmp_path / "out"
    out.mkdir()
    before = snapshot(tmp_path)
    assert refusal(run(*commands[name], "--out", out, "--resume")) == (
        f"{out} is complete, so that there is nothing to resume. Leave --resume off; choose "
        "another name, or add --overwrite, to run again."
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["report.json", "config.json", "annotations.jsonl"])
def test_a_folder_of_texts_with_the_name_of_a_file_of_the_output(
    name: str, places: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "texts" / name
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("Mr Smith came")
    before = snapshot(tmp_path)
    assert refusal(run("redact", places["MODEL"], folder.parent, "--out", tmp_path / "out")) == (
        f"{folder}: the redacted copy of this folder would have the name of a file that the run "
        "writes. Rename the folder."
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["DATA", "MODEL"])
def test_a_folder_that_a_killed_run_was_replacing_is_found(
    name: str, places: dict[str, Path]
) -> None:
    folder = places[name]
    hidden = folder.with_name(f".{folder.name}.annoseq-12345678")
    hidden.mkdir()
    folder.rename(hidden / "old")
    command = ("show-batch", folder) if name == "DATA" else ("annotate", folder, places["TABLE"])
    assert run(*command).code == 0
    assert folder.is_dir()
    assert not hidden.exists()


@pytest.mark.parametrize("name", ["evaluate --json", "find-lr"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_folder_in_the_place_of_a_file(
    name: str, overwrite: tuple[str, ...], places: dict[str, Path], tmp_path: Path
) -> None:
    path = target(name, tmp_path / "out")
    path.mkdir()
    assert refusal(run(*words(name, places, tmp_path / "out"), *overwrite)) == (
        f"{path} is a folder, and a file is written. Choose another name."
    )
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("name", ["sample", "prepare", "train"])
def test_parent_folders_are_made(name: str, places: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "out"
    assert run(*words(name, places, out)).code == 0
    assert list(out.parent.iterdir()) == [target(name, out)]


@every_command
def test_a_full_disk(name: str, places: dict[str, Path], tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    with file_size_limit(60):
        result = run(*words(name, places, tmp_path / "out"))
    assert result.code == 2
    assert "Traceback" not in result.err
    message = result.err.splitlines()[-1]
    assert message.startswith("annoseq: ")
    assert " cannot be written: File too large. Nothing was changed; " in message
    assert snapshot(tmp_path) == before


def test_a_table_of_predictions_of_an_unknown_kind(
    model: Path, table: Path, tmp_path: Path
) -> None:
    message = refusal(run("evaluate", model, table, "--out", tmp_path / "out.ods"))
    assert message.startswith(f"{tmp_path / 'out.ods'}: the suffix '.ods' stands for no known")
    message = refusal(run("sample", tmp_path / "out.ods"))
    assert message.startswith(f"{tmp_path / 'out.ods'}: the suffix '.ods' stands for no known")
    assert snapshot(tmp_path) == {}
