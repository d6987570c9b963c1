from __future__ import annotations

import json
from pathlib import Path

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
    open_output(out).add(ONE, OutputProgress(2, 1, "abc"))
    return out.with_name("out.partial")


def test_a_file_appears_when_it_is_complete(out: Path) -> None:
    output = open_output(out)
    assert output.progress == OutputProgress(0, 0, "")
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
    assert output.progress == OutputProgress(2, 1, "abc")
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


@pytest.mark.parametrize("place", ["absent/out", "x" * 300, "file/out"])
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
    assert json.loads((partial / "state.json").read_text())["progress"] == [2, 1, "abc"]
    again = open_output(out, resume=True)
    again.add(TWO, OutputProgress(3))
    again.finish()
    assert out.read_bytes() == "head\né\r\nc".encode()
