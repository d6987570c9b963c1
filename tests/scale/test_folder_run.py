from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError, OutputError, TableError
from annoseq.scale.folder_run import FolderRun, LocalEngine, check_failures
from annoseq.scale.parts import find_parts
from tests.faults import file_size_limit
from tests.scale.folders import (
    PLAN,
    EchoAnnotator,
    WorkerEngine,
    annotate_job,
    done_names,
    echo_worker,
    folder_run,
    outputs,
    worker_spec,
    write_csv,
    write_parts,
)

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.scale.folder_run import FolderSummary


def run(
    run: FolderRun,
    out: Path | str,
    *,
    annotator: EchoAnnotator | None = None,
    stop_after: int | None = None,
    skip_bad: bool = False,
    format_: str = "jsonl",
) -> FolderSummary:
    job = annotate_job(format_=format_)
    worker = echo_worker(out, annotator=annotator, job=job, skip_bad=skip_bad)
    engine = WorkerEngine(worker, stop_after)
    return run.run(engine, worker_spec(annotate_job(), out), run.prepare())


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parts(tmp_path_factory.mktemp("scale") / "notes", parts=7)


@pytest.fixture(scope="module")
def whole(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The output of a run that is not cut short."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run(folder_run(notes, out), out).total("texts") == 42
    return outputs(out)


def test_all_parts_are_done_once(notes: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    out, annotator = tmp_path / "out", EchoAnnotator()
    todo = folder_run(notes, out)
    engine = LocalEngine(annotator)  # type: ignore[arg-type]
    spec = worker_spec(annotate_job(), out)
    summary = todo.run(engine, spec, todo.prepare(), advance=steps.append)
    assert (summary.total("texts"), summary.total("spans"), summary.labels) == (42, 42, {"TITLE"})
    assert done_names(summary) == sorted(part.name for part in todo.listing.parts)
    assert steps == [0, *[1] * 7]
    calls = annotator.calls
    again = todo.run(engine, spec, todo.prepare(), advance=steps.append)
    assert (again.done_before, again.total("texts"), annotator.calls) == (7, 42, calls)
    check_failures(again)


@pytest.mark.parametrize("stop_after", range(7))
def test_an_interrupted_run_goes_on(
    stop_after: int, notes: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder_run(notes, out), out, stop_after=stop_after)
    summary = run(folder_run(notes, out), out)
    assert summary.done_before == stop_after
    assert outputs(out) == whole


def test_a_remote_folder_is_the_same(notes: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    remote = folder_run(f"file://{notes}", f"file://{out}")
    with remote.lock():
        run(remote, f"file://{out}", stop_after=None)
    assert outputs(out) == whole


def test_what_is_missing_changed_or_damaged_is_done_again(notes: Path, tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=5), tmp_path / "out"
    run(folder_run(source, out), out)
    before = outputs(out)
    (out / "parts/0/000.jsonl").unlink()
    with (out / "parts/1/001.jsonl").open("a") as file:
        file.write("x")
    (out / "manifest/2/002.csv.json").write_text("{")
    write_csv(source / "0/003.csv", ["Dr. Bond", "Dr. Cole"])
    summary = run(folder_run(source, out), out)
    assert (summary.done_before, summary.total("texts")) == (1, 26)
    after = outputs(out)
    assert after.pop("parts/0/003.jsonl") != before.pop("parts/0/003.jsonl")
    assert after == before


def test_other_options_are_refused_redone_or_left(notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder_run(notes, out), out, stop_after=None)
    listing = find_parts(str(notes))
    other = {**PLAN, "model": "def"}
    with pytest.raises(OptionError) as raised:
        FolderRun(str(out), listing, other).prepare()
    assert str(raised.value) == (
        f"{out} was begun with model 'abc', and now it is 'def'. Give the same options to go on, "
        "--only-new to leave what is done as it is, or --overwrite to do all parts again."
    )
    assert FolderRun(str(out), listing, other, only_new=True).prepare().to_do == []
    assert len(FolderRun(str(out), listing, other, overwrite=True).prepare().to_do) == 7


def test_only_new_parts_are_done(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=3), tmp_path / "out"
    with pytest.raises(OptionError, match=r"--only-new goes on with the parts of an earlier run"):
        folder_run(source, out, only_new=True).prepare()
    run(folder_run(source, out), out)
    write_csv(source / "0/003.csv", ["Dr. Bond"])
    newer = FolderRun(str(out), find_parts(str(source)), {**PLAN, "model": "def"}, only_new=True)
    assert [part.name for part in newer.prepare().to_do] == ["0/003.csv"]
    (source / "1/001.csv").unlink()
    assert folder_run(source, out, only_new=True).prepare().orphans == 1


def test_parts_without_an_input_are_removed_where_all_is_done_again(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=3), tmp_path / "out"
    run(folder_run(source, out), out)
    (source / "0/000.csv").unlink()
    (source / "1/001.csv").unlink()
    (out / "parts/1/001.jsonl").write_text("a user wrote this")
    (out / "annotations/0").mkdir(parents=True)
    (out / "annotations/0/000.jsonl").touch()
    summary = run(folder_run(source, out, overwrite=True), out)
    assert (summary.orphans, summary.removed, summary.strangers) == (0, 1, 1)
    assert sorted(outputs(out)) == ["config.json", "parts/1/001.jsonl", "parts/2/002.jsonl"]
    assert run(folder_run(source, out), out).done_before == 1


def test_outputs_in_another_format_take_the_place_of_those_before(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=3), tmp_path / "out"
    run(folder_run(source, out), out)
    with pytest.raises(KeyboardInterrupt):
        run(folder_run(source, out, overwrite=True), out, format_="csv", stop_after=1)
    assert sorted(path.suffix for path in out.glob("parts/*/*")) == [".csv", ".jsonl", ".jsonl"]
    summary = run(folder_run(source, out), out, format_="csv")
    assert (summary.done_before, summary.total("texts")) == (1, 18)
    assert [path.suffix for path in out.glob("parts/*/*")] == [".csv"] * 3
    again = run(folder_run(source, out, overwrite=True), out)
    assert (again.done_before, again.strangers, again.total("texts")) == (0, 0, 18)
    assert [path.suffix for path in out.glob("parts/*/*")] == [".jsonl"] * 3


def test_a_device_that_fails_for_every_part_loses_no_output(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=4), tmp_path / "out"
    run(folder_run(source, out), out)
    before = outputs(out)
    write_csv(source / "0/003.csv", ["Dr. Bond"] * 2)
    broken = EchoAnnotator(fails_at="Dr", error=RuntimeError)
    summary = run(folder_run(source, out, overwrite=True), out, annotator=broken)
    assert (len(summary.failures), summary.kept, summary.strangers) == (4, 3, 0)
    assert before.pop("parts/0/003.jsonl")
    assert outputs(out) == before
    with pytest.raises(TableError, match=r"^4 parts could not be done, and 0 are\. Mend"):
        check_failures(summary)
    # The same command goes on, and --only-new leaves what is done.
    assert folder_run(source, out, only_new=True).prepare().to_do == [
        part for part in find_parts(str(source)).parts if part.name == "0/003.csv"
    ]
    mended = run(folder_run(source, out), out)
    assert (mended.done_before, mended.total("texts"), mended.kept) == (0, 20, 0)


def test_outputs_in_the_format_of_before_are_kept_by_failures(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=2), tmp_path / "out"
    run(folder_run(source, out), out)
    (source / "1/001.csv").write_text("other\nx\n")
    broken = EchoAnnotator(fails_at="Dr", error=RuntimeError)
    again = folder_run(source, out, overwrite=True)
    summary = run(again, out, annotator=broken, format_="csv", skip_bad=True)
    assert (summary.kept, summary.strangers, len(summary.skipped)) == (1, 0, 1)
    assert [path.name for path in out.glob("parts/*/*")] == ["000.jsonl"]


def test_a_bad_part_keeps_no_other_from_being_done(tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=8), tmp_path / "out"
    for name in ("0/000.csv", "0/003.csv", "1/001.csv", "1/004.csv", "2/002.csv", "2/005.csv"):
        (source / name).write_bytes(b"other\nx\n")
    summary = run(folder_run(source, out), out)
    assert done_names(summary) == ["0/006.csv", "1/007.csv"]
    with pytest.raises(TableError) as raised:
        check_failures(summary)
    first, *rest = str(raised.value).splitlines()
    assert first == (
        "6 parts could not be done, and 2 are. Mend or remove the files and run the same command "
        "again without --overwrite, which does only what is missing, or add --skip-bad:"
    )
    assert rest[0].startswith(f"  {source}/0/000.csv: there is no column 'orig_text'")
    assert rest[5:] == ["  and 1 more"]
    skipped = run(folder_run(source, out), out, skip_bad=True)
    check_failures(skipped)
    assert (len(skipped.skipped), skipped.total("errors"), skipped.done_before) == (6, 6, 2)


def test_a_full_disk_ends_the_run_and_is_gone_on_with(
    notes: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    source, out = write_parts(tmp_path / "in", parts=2), tmp_path / "out"
    write_csv(source / "big.csv", ["Dr. Ames"] * 200)
    with file_size_limit(10_000), pytest.raises(OutputError) as raised:
        run(folder_run(source, out), out)
    assert str(raised.value).startswith(f"{out}/parts/big.jsonl cannot be written: File too large.")
    assert str(raised.value).endswith("Run the same command again to go on.")
    assert run(folder_run(source, out), out).total("texts") == 212


def test_a_folder_of_another_program_is_refused(notes: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"was not written by a run over parts, and has files"):
        folder_run(notes, tmp_path).prepare()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OutputError, match=r"config.json is damaged, or was not written by a run"):
        folder_run(notes, tmp_path).prepare()


def test_a_part_without_an_outcome_is_a_failure(notes: Path, tmp_path: Path) -> None:
    class Forgetful(WorkerEngine):
        def map(self, spec, parts):  # type: ignore[no-untyped-def]
            yield from super().map(spec, parts[1:])

    out = tmp_path / "out"
    todo = folder_run(notes, out)
    engine = Forgetful(echo_worker(out))
    summary = todo.run(engine, worker_spec(annotate_job(), out), todo.prepare())
    assert summary.failures == ["1 part: the engine gave no outcome"]
