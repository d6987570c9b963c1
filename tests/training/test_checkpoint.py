from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.errors import OutputError, TrainingError
from annoseq.training.checkpoint import read_checkpoint, write_checkpoint
from tests.faults import file_size_limit

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"epochs": 4, "max_lr": 1e-3, "model": {"hidden": 16}}
STATE: dict[str, Any] = {"weights": torch.arange(5_000.0), "run": {"epoch": 2, "names": ["a"]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "m.training"
    write_checkpoint(path, plan=PLAN, state=STATE)
    return path


def fault(path: Path, plan: dict[str, Any] = PLAN) -> str:
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(path, plan=plan)
    return str(caught.value)


def test_what_is_written_is_read(path: Path) -> None:
    state = read_checkpoint(path, plan=PLAN)
    assert torch.equal(state["weights"], STATE["weights"])
    assert state["run"] == STATE["run"]
    assert [entry.name for entry in path.parent.iterdir()] == ["m.training"]


def test_only_its_owner_may_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert fault(path) == (f"there is no interrupted training at {path}. Start without --resume.")


def test_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert fault(tmp_path) == f"{tmp_path} cannot be read: Is a directory. Check its rights."


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "text"])
def test_a_damaged_one(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    content[content.find(STATE["weights"].numpy().tobytes()) + 9_999] ^= 1
    path.write_bytes(
        {
            "truncated": bytes(content[: len(content) // 2]),
            "flipped": bytes(content),
            "emptied": b"",
            "text": b"epoch,loss\n1,2\n" * 9,
        }[damage]
    )
    assert fault(path) == (
        f"{path} is damaged and cannot be resumed. Delete it and start without --resume."
    )


def test_nothing_in_it_can_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("sprung").touch, ())

    path = tmp_path / "m.training"
    write_checkpoint(path, plan=PLAN, state={"trap": Trap()})
    assert fault(path) == (
        f"{path} is damaged and cannot be resumed. Delete it and start without --resume."
    )
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"max_lr": 0.5}, "max_lr 0.001, and now it is 0.5"),
        ({"model": {"hidden": 8}}, "hidden 16, and now it is 8"),
        ({"seed": 1}, "seed not given, and now it is 1"),
    ],
)
def test_another_plan(path: Path, changed: dict[str, Any], named: str) -> None:
    assert fault(path, PLAN | changed) == (
        f"{path} was begun with {named}. "
        "Resume with the same data and options, or delete it and start again."
    )


def test_a_full_disk_leaves_the_one_before(path: Path) -> None:
    bigger = STATE | {"weights": torch.rand(50_000)}
    with file_size_limit(50_000), pytest.raises(OutputError) as caught:
        write_checkpoint(path, plan=PLAN, state=bigger)
    assert str(caught.value) == (
        f"{path} cannot be written: File too large. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )
    assert torch.equal(read_checkpoint(path, plan=PLAN)["weights"], STATE["weights"])
    assert [entry.name for entry in path.parent.iterdir()] == ["m.training"]
