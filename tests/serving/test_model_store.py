from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import ModelError, OptionError
from annoseq.serving.model_store import (
    LoadedModel,
    ModelAddress,
    ModelStore,
    load_served,
    parse_addresses,
    path_signature,
)
from tests.calibrated import calibrated_model
from tests.onnx_files import write_tiny_file
from tests.serving.served import loaded, served

if TYPE_CHECKING:
    from annoseq.serving.model_store import ServedModel


def test_models_are_named_by_their_path_or_as_told() -> None:
    addresses = parse_addresses(["models/notes", "b=models/notes", "a/tagger.onnx", "x=y=z"])
    assert [address.name for address in addresses] == ["notes", "b", "tagger", "x"]
    assert [str(address.path) for address in addresses] == [
        "models/notes",
        "models/notes",
        "a/tagger.onnx",
        "y=z",
    ]
    assert ModelAddress.parse("a=b/c") == ModelAddress("a", Path("b/c"))
    assert ModelAddress.parse("a=b/notes") == ModelAddress("a", Path("b/notes"))
    assert ModelAddress.parse("./a=b/notes") == ModelAddress("notes", Path("a=b/notes"))


@pytest.mark.parametrize("word", ["a b=model", "=model", "..=model", "my model", "é=model"])
def test_a_name_that_is_none_is_an_error(word: str) -> None:
    with pytest.raises(OptionError, match="as the name of a model"):
        ModelAddress.parse(word)


def test_two_models_of_one_name_are_an_error() -> None:
    with pytest.raises(OptionError) as error:
        parse_addresses(["a/model", "b/model"])
    assert str(error.value) == ("2 models would have the name model. Give each its own: NAME=PATH.")


def test_a_signature_tells_a_changed_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = path_signature(folder)
    assert path_signature(folder) == before
    (folder / "new").write_text("1")
    (folder / "new").replace(folder / "a")
    assert path_signature(folder) != before
    (folder / "b").write_text("1")
    assert len(path_signature(folder)) == 2
    assert path_signature(folder / "a") == path_signature(folder)[:1]
    assert path_signature(tmp_path / "none") == ()


def watched(path: Path, results: list[LoadedModel | Exception]) -> ServedModel:
    """Return a model whose loads have these results."""

    def load(_: Path) -> LoadedModel:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return served(load=load, path=str(path))


def test_a_changed_model_is_exchanged_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("1")
    now = 100.0
    monkeypatch.setattr("annoseq.serving.model_store._now", lambda: now)
    first, second = loaded(), loaded()
    first.signature = path_signature(path)
    model = watched(path, [first, ModelError("damaged"), KeyError("Ms Ames"), second])
    assert not model.refresh()
    path.write_text("22")
    second.signature = path_signature(path)
    with caplog.at_level(logging.INFO):
        assert not model.refresh()
        assert "first has changed, and the old model goes on: damaged" in caplog.text
        assert not model.refresh()  # too soon
        now += 1.5
        assert not model.refresh()
        assert "the old model goes on: KeyError at model_store.py" in caplog.text
        assert "Ames" not in caplog.text
        now += 1.5
        assert not model.refresh()  # the pause grows
        now += 1.5
        assert model.refresh()
        assert "first has changed: model" in caplog.text
    assert (model.current, model.reloads, model.failures) == (second, 1, 2)
    assert not model.refresh()
    model.batcher.close()


def test_a_request_keeps_the_model_that_it_began_with(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("1")
    model = watched(path, [loaded(), loaded()])
    began = model.current
    assert model.refresh()
    assert model.current is not began
    assert began.annotator.annotate(["Dr. Ames"], advance=lambda _: None)
    model.batcher.close()


def test_a_store_watches_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("1")
    is_loaded, second = threading.Event(), loaded()
    second.signature = path_signature(path)
    results = [loaded(), second]

    def load(_: Path) -> LoadedModel:
        if len(results) == 1:
            is_loaded.set()
        return results.pop(0)

    store = ModelStore([served(load=load, path=str(path))], watch_seconds=0.001)
    store.start()
    assert is_loaded.wait(10)
    states = [store.is_ready]
    store.close()
    states.append(store.is_ready)
    assert states == [True, False]
    assert store.default.current is second


def test_targets_are_chosen_once_and_not_kept_without_end() -> None:
    model = loaded()
    first = model.target(recall=None, coverage=0.9)
    assert model.target(recall=None, coverage=0.9) is first
    assert model.target(recall=None, coverage=None) is None
    for step in range(80):
        model.target(recall=0.5 + step / 1000, coverage=None)
    assert len(model._targets) == 64


def test_folders_and_onnx_files_are_loaded_with_their_cards(tmp_path: Path) -> None:
    calibrated_model().save(tmp_path / "model", card="# The card\n")
    onnx_file = write_tiny_file(tmp_path / "tagger.onnx")
    for path, card in ((tmp_path / "model", "# The card\n"), (onnx_file, "# Model card\n")):
        model = load_served(path)
        assert model.card == card
        assert len(model.fingerprint) == 12
        assert model.signature == path_signature(path)
    with pytest.raises(ModelError):
        load_served(tmp_path / "none")
