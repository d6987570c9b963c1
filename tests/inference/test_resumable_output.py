from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Never

import pytest

from annoseq.errors import OptionError, OutputError
from annoseq.inference.resumable_output import OutputProgress, ResumableOutput
from tests.cli.command import snapshot
from tests.faults import file_size_limit

PLAN = {"search": "greedy", "k": 10}
ONE, TWO = [("a.txt", "é\r\n"), ("sub/b.txt", "")], [("c.txt", "c")]
WHOLE = {"a.txt": "é\r\n".encode(), "sub/b.txt": b"", "c.txt": b"c"}
HINT = "Start again with --overwrite instead of --resume."


def open_output(
    path: Path,
    *,
    plan: dict[str, object] = PLAN,
    is_folder: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> ResumableOutput:
    return ResumableOutput(
        path, plan=plan, is_folder=is_folder, resume=resume, overwrite=overwrite, begin="head\n"
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def partial(out: Path) -> Path:
    """An interrupted run with one chunk done."""
    output = open_output(out)
    output.add(ONE, OutputProgress(2, 1, "abc", 4, ("AGE", "NAME")))
    assert output.leave()
    return out.with_name("out.partial")


def test_a_file_appears_when_it_is_complete(out: Path) -> None:
    output = open_output(out)
    assert output.progress == OutputProgress(0, 0, "", 0, ())
    output.add(ONE, OutputProgress(2))
    output.add(TWO, OutputProgress(3))
    assert not out.exists()
    output.finish()
    assert snapshot(out.parent) == {"out": "head\né\r\nc".encode()}


def test_a_folder_appears_when_it_is_complete(out: Path) -> None:
    output = open_output(out, is_folder=True)
    output.add(ONE, OutputProgress(2))
    output.add(TWO, OutputProgress(3))
    assert not out.exists()
    output.finish()
    assert snapshot(out) == WHOLE
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_run_is_resumed_after_its_last_certain_chunk(out: Path, partial: Path) -> None:
    with (partial / "output").open("ab") as file:
        file.write(b"half a chu")  # what a kill in the middle of a write leaves
    output = open_output(out, resume=True)
    assert output.progress == OutputProgress(2, 1, "abc", 4, ("AGE", "NAME"))
    output.add(TWO, OutputProgress(3))
    output.finish()
    assert snapshot(out.parent) == {"out": "head\né\r\nc".encode()}


def test_a_folder_is_resumed(out: Path) -> None:
    open_output(out, is_folder=True).add(ONE, OutputProgress(2))
    (out.with_name("out.partial") / "output" / "c.txt").write_text("half")
    output = open_output(out, is_folder=True, resume=True)
    output.add(TWO, OutputProgress(3))
    output.finish()
    assert snapshot(out) == WHOLE


def test_leaving_keeps_what_can_be_resumed_only(out: Path) -> None:
    output = open_output(out)
    assert not output.leave()
    assert list(out.parent.iterdir()) == []
    output = open_output(out)
    output.add(ONE, OutputProgress(2))
    assert output.leave()
    assert open_output(out, resume=True).progress.done == 2


def test_an_interrupted_run_is_not_lost_by_accident(out: Path, partial: Path) -> None:
    before = snapshot(out.parent)
    with pytest.raises(OptionError) as caught:
        open_output(out)
    assert str(caught.value) == (
        f"{partial} is an interrupted run. Add --resume to go on with it, "
        "or --overwrite to start again."
    )
    assert snapshot(out.parent) == before
    assert open_output(out, overwrite=True).progress.done == 0


def test_there_must_be_something_to_resume(out: Path) -> None:
    with pytest.raises(OptionError) as caught:
        open_output(out, resume=True)
    assert str(caught.value) == (
        f"there is no interrupted run at {out}.partial. Leave --resume off to begin one."
    )


def test_a_run_is_resumed_under_its_own_plan_only(out: Path, partial: Path) -> None:
    with pytest.raises(OptionError) as caught:
        open_output(out, plan={"search": "greedy", "k": 5}, resume=True)
    assert str(caught.value) == (
        f"{partial} was begun with k 10, and now it is 5. "
        "Resume with the same options, or start again with --overwrite instead of --resume."
    )


@pytest.mark.parametrize(
    "state",
    ["", "{}", "[]", "null", '{"plan": 1}', '{"plan": {}, "progress": [], "bytes": 0}', "\udcff"],
)
def test_a_damaged_state_is_refused(state: str, out: Path, partial: Path) -> None:
    path = partial / "state.json"
    path.write_bytes(state.encode(errors="surrogateescape"))
    before = snapshot(out.parent)
    with pytest.raises(OptionError) as caught:
        open_output(out, resume=True)
    assert str(caught.value) == f"{path} is damaged and cannot be resumed. {HINT}"
    assert snapshot(out.parent) == before
    assert open_output(out, overwrite=True).progress.done == 0


def test_an_output_that_was_cut_off_is_refused(out: Path, partial: Path) -> None:
    path = partial / "output"
    path.write_bytes(path.read_bytes()[:-1])
    message = f"{path} is not whole and cannot be resumed. {HINT}"
    with pytest.raises(OptionError) as caught:
        open_output(out, resume=True)
    assert str(caught.value) == message
    path.unlink()
    with pytest.raises(OptionError) as caught:
        open_output(out, resume=True)
    assert str(caught.value) == message


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_what_another_program_wrote_is_spared(resume: bool, overwrite: bool, out: Path) -> None:
    """Even under the name that an interrupted run would have."""
    foreign = out.with_name("out.partial")
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError) as caught:
        open_output(out, resume=resume, overwrite=overwrite)
    assert str(caught.value) == (
        f"{foreign} was not written by annoseq, which needs this name until the output is "
        "complete. Choose another name for --out, or move it."
    )
    assert snapshot(out.parent) == {"out.partial/thesis.tex": b"mine"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_folder_is_never_replaced(is_folder: bool, overwrite: bool, out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError) as caught:
        open_output(out, is_folder=is_folder, overwrite=overwrite)
    assert str(caught.value) == (f"{out} exists already. Choose another name, or remove it first.")
    assert snapshot(out.parent) == {"out/thesis.tex": b"mine"}


def test_a_folder_that_came_up_meanwhile_is_not_replaced(out: Path) -> None:
    output = open_output(out, is_folder=True, overwrite=True)
    output.add(ONE, OutputProgress(2))
    out.mkdir()
    with pytest.raises(OutputError, match="exists already"):
        output.finish()
    assert list(out.iterdir()) == []
    assert (out.with_name("out.partial") / "output" / "a.txt").exists()


def test_a_file_is_replaced_when_asked_and_not_before_the_end(out: Path) -> None:
    out.write_text("old")
    with pytest.raises(OutputError, match="or add --overwrite to replace it"):
        open_output(out)
    output = open_output(out, overwrite=True)
    output.add(TWO, OutputProgress(1))
    assert out.read_text() == "old"
    output.finish()
    assert out.read_text() == "head\nc"


def test_parent_folders_are_made(tmp_path: Path) -> None:
    output = open_output(tmp_path / "a" / "b" / "out")
    assert not output.leave()
    assert list(tmp_path.iterdir()) == []
    output = open_output(tmp_path / "a" / "b" / "out")
    output.add(TWO, OutputProgress(1))
    output.finish()
    assert snapshot(tmp_path) == {"a/b/out": b"head\nc"}


def modes(path: Path) -> set[str]:
    """Return the rights to a folder and to all in it."""
    return {f"{file.stat().st_mode & 0o777:o}" for file in (path, *path.rglob("*"))}


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_not_complete_is_for_its_owner_alone(is_folder: bool, out: Path) -> None:
    for name in ("file", "folder/file"):
        (out.parent / "public" / name).parent.mkdir(parents=True, exist_ok=True)
        (out.parent / "public" / name).touch()
    output = open_output(out, is_folder=is_folder)
    output.add(ONE, OutputProgress(2))
    partial = out.with_name("out.partial")
    assert partial.stat().st_mode & 0o777 == 0o700
    files = [path for path in partial.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    output.finish()
    public = out.parent / "public"
    assert modes(out) == (modes(public) if is_folder else modes(public / "file"))


def test_an_output_is_written_by_one_run_at_a_time(out: Path) -> None:
    """A lock excludes other threads as it does other processes."""
    output = open_output(out)
    output.add(ONE, OutputProgress(2))
    before = snapshot(out.parent)
    with ThreadPoolExecutor(1) as other:
        for resume in (False, True):
            refused = other.submit(open_output, out, resume=resume, overwrite=True).exception()
            assert isinstance(refused, OutputError)
            assert str(refused) == (
                f"{out} is being written by process {os.getpid()}. "
                "Wait until it ends, or choose another name."
            )
    assert snapshot(out.parent) == before
    output.add(TWO, OutputProgress(3))
    output.finish()
    assert snapshot(out.parent) == {"out": "head\né\r\nc".encode()}


@pytest.mark.parametrize("content", [b"he", b"head\nand more"])
def test_an_output_that_another_program_changed_is_refused(content: bytes, out: Path) -> None:
    output = open_output(out)
    changed = out.with_name("out.partial") / "output"
    changed.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        output.add(ONE, OutputProgress(2))
    assert str(caught.value) == (
        f"{changed} was changed by another program. Start again with --overwrite."
    )
    output.leave()


def test_a_folder_that_lacks_a_file_is_refused(out: Path) -> None:
    output = open_output(out, is_folder=True)
    output.add(ONE, OutputProgress(2))
    output.leave()
    path = out.with_name("out.partial") / "output"
    (path / "a.txt").unlink()
    with pytest.raises(OptionError) as caught:
        open_output(out, is_folder=True, resume=True)
    assert str(caught.value) == f"{path} is not whole and cannot be resumed. {HINT}"


@pytest.mark.parametrize(
    "leftover", ["out.partial/.state.json.annoseq-12345678", ".out.partial.annoseq-12345678/new"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_was_killed_as_it_began_is_begun_again(
    leftover: str, overwrite: bool, out: Path
) -> None:
    (out.parent / leftover).mkdir(parents=True)
    (out.parent / leftover / "state.json").write_text("{")
    with pytest.raises(OptionError, match="there is no interrupted run"):
        open_output(out, resume=True)
    output = open_output(out, overwrite=overwrite)
    output.add(TWO, OutputProgress(1))
    output.finish()
    assert snapshot(out.parent) == {"out": b"head\nc"}


def test_a_kill_as_a_run_begins_leaves_nothing_under_its_name(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> Never:
        raise SystemExit

    monkeypatch.setattr("annoseq.inference.resumable_output.json.dumps", kill)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # as after SIGKILL
    with pytest.raises(SystemExit):
        open_output(out)
    assert not out.with_name("out.partial").exists()


def test_a_finished_run_has_nothing_to_resume(out: Path) -> None:
    output = open_output(out)
    output.add(TWO, OutputProgress(1))
    output.finish()
    for overwrite in (False, True):
        with pytest.raises(OptionError) as caught:
            open_output(out, resume=True, overwrite=overwrite)
        assert str(caught.value) == (
            f"{out} is complete, so that there is nothing to resume. Leave --resume off; choose "
            "another name, or add --overwrite, to run again."
        )
    assert snapshot(out.parent) == {"out": b"head\nc"}


@pytest.mark.parametrize("place", ["x" * 300, "file/out", "file/absent/out"])
def test_a_place_that_cannot_be_written(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written: .* Nothing was changed; "):
        open_output(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", ".."])
def test_an_output_must_have_a_name(name: str) -> None:
    with pytest.raises(OutputError):
        open_output(Path(name), overwrite=True)


def test_a_full_disk_leaves_what_can_be_resumed(out: Path, partial: Path) -> None:
    output = open_output(out, resume=True)
    with (
        file_size_limit(20),
        pytest.raises(OutputError, match="out cannot be written: File too large"),
    ):
        output.add([("x", "x" * 100)], OutputProgress(3))
    assert not out.exists()
    assert output.leave()
    state = json.loads((partial / "state.json").read_text())
    assert state["progress"] == [2, 1, "abc", 4, ["AGE", "NAME"]]
    again = open_output(out, resume=True)
    again.add(TWO, OutputProgress(3))
    again.finish()
    assert out.read_bytes() == "head\né\r\nc".encode()
