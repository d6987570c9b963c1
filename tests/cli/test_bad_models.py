"""A model folder that is not whole is refused, before anything is read or written."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from annoseq._version import __version__
from tests.cli.command import refusal, run, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = ["weights.safetensors", "source.json", "target.json", "labels.json", "config.json"]


@pytest.fixture
def copied(model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model, tmp_path / "copy")


def command(verb: str, model: Path, table: Path, out: Path) -> tuple[object, ...]:
    """Return the words of a command that would read a model and write below a folder."""
    out.mkdir()
    options: dict[str, tuple[object, ...]] = {
        "annotate": (model, table),
        "evaluate": (model, table, "--json", out / "scores.json"),
        "train": (table, "--out", out / "model", "--go-on-from", model),
    }
    return (verb, *options[verb])


every_verb = pytest.mark.parametrize("verb", ["annotate", "evaluate", "train"])


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@every_verb
def test_a_missing_folder(verb: str, table: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert refusal(run(*command(verb, absent, table, tmp_path / "out"))) == (
        f"{absent}: there is no such folder. Give the folder that `annoseq train --out` wrote."
    )
    assert snapshot(tmp_path) == {}


@every_verb
def test_a_file_for_a_folder(verb: str, table: Path, tmp_path: Path) -> None:
    message = refusal(run(*command(verb, table, table, tmp_path / "out")))
    assert message.startswith(f"{table}: ")
    assert "Give the folder that `annoseq train --out` wrote" in message


@every_verb
def test_prepared_data_for_a_model(verb: str, data: Path, table: Path, tmp_path: Path) -> None:
    message = refusal(run(*command(verb, data, table, tmp_path / "out")))
    assert message.startswith(f"{data}: config.json is damaged or of another version (")
    assert f"this is annoseq {__version__}" in message


@every_verb
@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(name: str, verb: str, copied: Path, table: Path, tmp_path: Path) -> None:
    (copied / name).unlink()
    before = snapshot(tmp_path)
    assert refusal(run(*command(verb, copied, table, tmp_path / "out"))) == (
        f"{copied}: {name} cannot be read: No such file or directory. "
        "Is this a folder that `annoseq train --out` wrote?"
    )
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", FILES[:-1])
def test_a_damaged_file(name: str, copied: Path, table: Path, tmp_path: Path) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: {name} is not the file that was saved with this model. "
        "Copy the whole folder again, or train again."
    )


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"format": 2}'], ids=repr
)
def test_a_damaged_configuration(content: bytes, copied: Path, table: Path, tmp_path: Path) -> None:
    (copied / "config.json").write_bytes(content)
    message = refusal(run(*command("evaluate", copied, table, tmp_path / "out")))
    assert message.startswith(f"{copied}: config.json is damaged or of another version (")
    assert message.endswith("Use the version that wrote it, or train again.")


@pytest.mark.parametrize(
    "change", [{"format": 3}, {"network": "transformer"}, {"beams": 3}], ids=str
)
def test_a_model_of_another_version(
    change: dict[str, object], copied: Path, table: Path, tmp_path: Path
) -> None:
    edit(copied / "config.json", lambda config: config.update(change))
    message = refusal(run(*command("evaluate", copied, table, tmp_path / "out")))
    assert message.startswith(f"{copied}: config.json is damaged or of another version (")
    assert next(iter(change)) in message


def test_a_model_of_an_older_version(copied: Path, table: Path, tmp_path: Path) -> None:
    edit(copied / "config.json", lambda config: config.update(format=1))
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: written by an older version of annoseq (format 1; annoseq {__version__} reads "
        "format 2). Train again, or use the version that wrote it."
    )


@pytest.mark.parametrize("name", ["config.json", "source.json", "train.parquet"])
def test_prepared_data_that_are_not_whole(name: str, data: Path, tmp_path: Path) -> None:
    for damage in ("missing", "damaged"):
        copied = shutil.copytree(data, tmp_path / damage)
        (copied / name).unlink()
        if damage == "damaged":
            (copied / name).write_text("{")
        message = refusal(run("train", copied, "--out", tmp_path / "model"))
        assert message.startswith(f"{copied}: {name}")
        assert message.endswith("Prepare the data again with `annoseq prepare`.")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["/dev/zero", "../config.json", "runs/../labels.json", "card"])
def test_a_file_that_no_model_has(name: str, copied: Path, table: Path, tmp_path: Path) -> None:
    edit(copied / "config.json", lambda config: config["files"].update({name: "0" * 64}))
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: config.json is damaged: it lists 1 file that no model folder has. "
        "Copy the whole folder again, or train again."
    )


@pytest.mark.parametrize("name", [*FILES, "card.md", "calibration.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_a_file_that_is_not_regular(
    name: str, kind: str, copied: Path, table: Path, tmp_path: Path
) -> None:
    (copied / name).unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(copied / name)
        case "device":
            (copied / name).symlink_to("/dev/zero")
        case "folder":
            (copied / name).mkdir()
        case _:
            (tmp_path / name).touch()
            (copied / name).symlink_to(tmp_path / name)
    problem = "a link to a file outside the folder" if kind == "link" else "not a regular file"
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: {name} is {problem}. Copy the whole folder again, or train again."
    )


@pytest.mark.parametrize(
    ("name", "size"), [("config.json", 1 << 24), ("labels.json", 1 << 30), ("card.md", 1 << 24)]
)
def test_a_file_that_is_too_large(
    name: str, size: int, copied: Path, table: Path, tmp_path: Path
) -> None:
    os.truncate(copied / name, size + 1)
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: {name} has {size + 1:,} bytes, and such a file has at most {size:,}. "
        "Copy the whole folder again, or train again."
    )


@pytest.mark.parametrize(("setting", "value"), [("hidden", 10**30), ("layers", 10**9)])
def test_a_network_that_no_memory_holds(
    setting: str, value: int, copied: Path, table: Path, tmp_path: Path
) -> None:
    edit(copied / "config.json", lambda config: config["network"]["gru"].update({setting: value}))
    message = refusal(run(*command("evaluate", copied, table, tmp_path / "out")))
    assert message.startswith(
        f"{copied}: config.json is damaged or of another version (network.gru.{setting}: "
        "Input should be less than or equal to "
    )


def test_a_network_larger_than_its_weights(copied: Path, table: Path, tmp_path: Path) -> None:
    edit(copied / "config.json", lambda config: config["network"]["gru"].update(hidden=4_096))
    assert refusal(run(*command("evaluate", copied, table, tmp_path / "out"))) == (
        f"{copied}: damaged: weights.safetensors is not of the network that config.json "
        "describes. Train again."
    )
