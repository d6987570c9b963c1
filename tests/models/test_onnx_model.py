"""ONNX files of taggers: what is written is read again, and anything else is refused."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from annoseq.errors import ModelError, OptionError, OutputError
from annoseq.models.onnx_model import METADATA_KEY, OnnxModel, open_session, write_onnx_file
from tests.calibrated import calibrated_model
from tests.onnx_files import metadata_of, tiny_graph, write_tiny_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_file(tmp_path_factory.mktemp("onnx") / "tagger.onnx").read_bytes()


@pytest.fixture
def file(tmp_path: Path, whole: bytes) -> Path:
    path = tmp_path / "tagger.onnx"
    path.write_bytes(whole)
    return path


def edit_metadata(file: Path, **values: Any) -> None:
    """Replace values of the metadata."""
    model = onnx.load_model_from_string(file.read_bytes())
    (entry,) = model.metadata_props
    metadata = json.loads(entry.value) | values
    del model.metadata_props[:]
    trailer = onnx.StringStringEntryProto(key=METADATA_KEY, value=json.dumps(metadata))
    graph = file.read_bytes()[: metadata["graph_bytes"]]
    file.write_bytes(graph + onnx.ModelProto(metadata_props=[trailer]).SerializeToString())


def refusal(file: Path) -> str:
    with pytest.raises(ModelError) as raised:
        OnnxModel.load(file)
    return str(raised.value)


def test_one_file_holds_all_of_a_tagger(file: Path) -> None:
    model, expected = OnnxModel.load(file), calibrated_model()
    assert model.config == expected.config
    assert model.calibration == expected.calibration
    assert model.tokenizer.signature() == expected.tokenizer.signature()
    assert model.metadata.card == "# Model card\n"
    assert model.history is None
    assert len(model.fingerprint) == 64
    assert repr(model) == "<OnnxModel: tagger, annotate, float32>"
    onnx.checker.check_model(onnx.load(file))  # any other program can open it
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_is_replaced_only_if_asked_for(file: Path, whole: bytes) -> None:
    metadata = metadata_of(calibrated_model())
    with pytest.raises(OutputError, match="exists"):
        write_onnx_file(file, tiny_graph(2), metadata)
    assert file.read_bytes() == whole
    written = write_onnx_file(file, tiny_graph(2, spread=1.0), metadata, overwrite=True)
    assert OnnxModel.load(file).metadata == written
    assert file.read_bytes() != whole


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    assert refusal(path) == (
        f"{path}: there is no such file. Give the file that `annoseq export onnx` wrote."
    )


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a", None])
def test_what_is_no_onnx_file_is_refused(file: Path, content: bytes | None) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 3] if content is None else content)
    message = refusal(file)
    assert message.startswith(f"{file}")
    assert "`annoseq export onnx` wrote" in message


def test_a_file_of_another_program_is_refused(file: Path) -> None:
    file.write_bytes(tiny_graph(2))
    assert refusal(file) == (
        f"{file}: an ONNX file of another program, without the tokenizer and labels that annoseq "
        "writes. Give the file that `annoseq export onnx` wrote."
    )


def test_a_newer_and_an_older_format_are_refused(file: Path) -> None:
    edit_metadata(file, format=3)
    assert "its metadata are damaged or of another version (format: " in refusal(file)
    edit_metadata(file, format=1)
    assert "written by an older version of annoseq (format 1; " in refusal(file)
    assert refusal(file).endswith("Export the model again.")


def test_damaged_metadata_are_refused(file: Path) -> None:
    edit_metadata(file, tokenizer="[]")
    assert refusal(file).startswith(f"{file}: damaged: tagging.json: ")
    edit_metadata(file, card=3)
    assert "(card: " in refusal(file)


def test_another_graph_is_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    weights = onnx.load_model_from_string(bytes(content)).graph.initializer[0].raw_data
    content[content.index(weights)] ^= 1
    file.write_bytes(content)
    assert "the graph is not the one that was written with this tokenizer" in refusal(file)


def test_word_vectors_are_refused_where_none_are_read(file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="needs no file of word vectors"):
        OnnxModel.load(file, vectors=tmp_path / "v.vec")


def test_a_missing_runtime_is_told_with_its_command(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(OptionError) as raised:
        open_session(file)
    assert str(raised.value) == (
        "a model in an ONNX file needs onnxruntime, which is not installed. "
        "Run: pip install 'annoseq[onnx]'"
    )


@pytest.mark.parametrize("threads", ["2", "many", "0", ""])
def test_any_number_of_threads_can_be_set(
    file: Path, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert open_session(file).get_inputs()[0].name == "words"
