from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors import safe_open

from annoseq._version import __version__
from annoseq.config import NetworkConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import ModelError, OutputError
from annoseq.inference.network_predictors import build_predictor
from annoseq.inference.predictor import predict_examples
from annoseq.models.gru import GruWithAttention
from annoseq.models.interfaces import Seq2SeqNetwork
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.vocabulary import BEGIN
from tests.faults import file_size_limit
from tests.reporting.samples import sample_history
from tests.tiny import BATCHING, TINY, TINY_ATTENTION, same_weights, tiny_learner

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import AnyNetworkConfig
    from annoseq.tokenization.dataset import Dataset

FILES = ["card.md", "config.json", "history.json", "labels.json", "source.json", "target.json"]


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the trained model, to be damaged."""
    return shutil.copytree(model_folder, tmp_path / "model")


@pytest.fixture(scope="module")
def attention_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with attention and fresh weights, saved."""
    folder = tmp_path_factory.mktemp("untrained") / "model"
    tiny_learner(dataset, model=TINY_ATTENTION).save(folder)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fault(folder: Path) -> str:
    """Return the message with which loading fails."""
    with pytest.raises(ModelError) as caught:
        TrainedModel.load(folder)
    return str(caught.value)


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its checksum, as damage cannot but a person could."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "config.json").read_text())["files"]
    edit_config(folder, files=files | {name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("model", [TINY, TINY_ATTENTION])
def test_a_loaded_model_predicts_the_same(
    model: AnyNetworkConfig, dataset: Dataset, tmp_path: Path
) -> None:
    learner = tiny_learner(dataset, model=model)
    learner.fit_one_cycle(1, 1e-2, report=lambda line: None)
    learner.save(tmp_path / "model")
    loaded = TrainedModel.load(tmp_path / "model")
    assert same_weights(loaded.network, learner.network)
    assert loaded.tokenizer.signature() == dataset.tokenizer.signature()
    predictor = build_predictor(loaded.network, loaded.tokenizer, ComputeDevice.select())
    ours = predict_examples(predictor, dataset.valid, batching=BATCHING)
    assert list(ours) == list(learner.predictions())
    assert ours.accuracy == learner.predictions().accuracy
    batch = dataset.one_batch()
    begin = torch.full((len(batch.source),), BEGIN)
    scores, saved_scores = (
        network.eval().scores(network.step(network.start(batch), begin))
        for network in (loaded.network, learner.network)
        if isinstance(network, Seq2SeqNetwork)
    )
    assert torch.equal(scores, saved_scores)


def test_the_folder_holds_json_and_safetensors_only(model_folder: Path) -> None:
    assert names(model_folder) == [*FILES, "weights.safetensors"]
    for name in FILES[1:]:
        assert json.loads((model_folder / name).read_text(encoding="utf-8"))


def test_all_who_may_read_the_folder_may_read_its_files(attention_folder: Path) -> None:
    assert len({path.stat().st_mode for path in attention_folder.iterdir()}) == 1


def test_the_tied_weight_is_stored_once(model_folder: Path, dataset: Dataset) -> None:
    size = len(dataset.tokenizer.target)
    with safe_open(str(model_folder / "weights.safetensors"), "pt") as weights:
        tied = [name for name in weights.keys() if weights.get_tensor(name).shape == (size, 16)]  # noqa: SIM118
    assert len(tied) == 1
    network = TrainedModel.load(model_folder).network
    assert isinstance(network, Seq2SeqNetwork)
    assert network.target.output.weight is network.target.embedding.weight


def test_shared_embeddings_are_stored_once(attention_folder: Path, dataset: Dataset) -> None:
    sizes = {len(dataset.tokenizer.source), len(dataset.tokenizer.target)}
    with safe_open(str(attention_folder / "weights.safetensors"), "pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    assert [shape for shape in shapes if shape[1:] and shape[0] in sizes] == [
        [len(dataset.tokenizer.target), 16]
    ]
    network = TrainedModel.load(attention_folder).network
    assert isinstance(network, GruWithAttention)
    assert network.source.table is network.target.embedding


def test_the_config_holds_the_settings_of_the_chosen_network_only(
    model_folder: Path, attention_folder: Path
) -> None:
    for folder, name in ((model_folder, "gru"), (attention_folder, "attention")):
        network = json.loads((folder / "config.json").read_text())["network"]
        assert network.keys() == {"model", name}
        assert network["model"] == name
        assert network[name]["embedding"] == 16
        assert TrainedModel.load(folder).config.network.model == name
    assert TrainedModel.load(attention_folder).config.network == NetworkConfig.of(TINY_ATTENTION)


def test_saving_is_deterministic(attention_folder: Path, tmp_path: Path) -> None:
    loaded = TrainedModel.load(attention_folder)
    for copy in range(5):
        again = tmp_path / str(copy)
        loaded.save(again, card="")
        for name in ("config.json", "weights.safetensors", "source.json", "target.json"):
            assert (again / name).read_bytes() == (attention_folder / name).read_bytes()


def test_the_config_has_no_auto_settings(model_folder: Path, attention_folder: Path) -> None:
    for folder, forcing, loss in ((model_folder, 0.0, "padded"), (attention_folder, 1.0, "token")):
        training = json.loads((folder / "config.json").read_text())["training"]
        assert (training["teacher_forcing"], training["loss"]) == (forcing, loss)


def test_the_config_tells_what_was_trained(trained: TrainedModel, dataset: Dataset) -> None:
    config = trained.config
    assert (config.annoseq, config.task, config.epochs) == (__version__, "annotate", 2)
    assert config.fingerprint == dataset.fingerprint
    gru = config.network.gru
    assert (gru.embedding, gru.hidden, config.batching.batch_size) == (16, 16, 16)


def test_no_such_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    expected = f"{path}: there is no such folder. Give the folder that `annoseq train --out` wrote."
    assert fault(path) == expected
    path.write_text("a file")
    assert fault(path) == expected


@pytest.mark.parametrize(
    "name", ["config.json", "weights.safetensors", "source.json", "target.json", "labels.json"]
)
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert fault(folder) == (
        f"{folder}: {name} cannot be read: No such file or directory. "
        "Is this a folder that `annoseq train --out` wrote?"
    )


@pytest.mark.parametrize("name", ["weights.safetensors", "source.json", "target.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_file(folder: Path, name: str, damage: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(
        {"flipped": bytes(content), "truncated": bytes(content[:-1]), "emptied": b""}[damage]
    )
    assert fault(folder) == (
        f"{folder}: {name} is not the file that was saved with this model. "
        "Copy the whole folder again, or train again."
    )


def test_another_format(folder: Path) -> None:
    edit_config(folder, format=3, annoseq="9.0.0")
    assert fault(folder) == (
        f"{folder}: config.json is damaged or of another version (format: Input should be 2); "
        f"this is annoseq {__version__}. Use the version that wrote it, or train again."
    )


def test_a_folder_of_an_older_version(folder: Path) -> None:
    edit_config(folder, format=1, bounds={})
    assert fault(folder) == (
        f"{folder}: written by an older version of annoseq (format 1; annoseq {__version__} reads "
        "format 2). Train again, or use the version that wrote it."
    )


def test_an_unknown_setting(folder: Path) -> None:
    edit_config(folder, beams=4)
    assert fault(folder) == (
        f"{folder}: config.json is damaged or of another version "
        f"(beams: Extra inputs are not permitted); "
        f"this is annoseq {__version__}. Use the version that wrote it, or train again."
    )


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"{", b"[1, 2]", b"null"])
def test_a_config_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    message = fault(folder)
    opening = f"{folder}: config.json is damaged or of another version (the whole file: "
    assert message.startswith(opening)
    assert message.endswith(
        f"); this is annoseq {__version__}. Use the version that wrote it, or train again."
    )
    assert "\n" not in message


def test_a_config_that_does_not_list_a_file(folder: Path) -> None:
    files = json.loads((folder / "config.json").read_text())["files"]
    del files["weights.safetensors"]
    edit_config(folder, files=files)
    assert fault(folder) == (
        f"{folder}: config.json does not list ['weights.safetensors']. Train again."
    )


@pytest.mark.parametrize("name", ["lstm", "Gru", "", None, 3])
def test_a_network_that_is_not_known(folder: Path, name: object) -> None:
    network = json.loads((folder / "config.json").read_text())["network"]
    edit_config(folder, network=network | {"model": name})
    message = fault(folder)
    opening = f"{folder}: config.json is damaged or of another version (network.model: Input "
    assert message.startswith(opening)
    assert message.endswith(
        f"); this is annoseq {__version__}. Use the version that wrote it, or train again."
    )
    assert "\n" not in message


def test_settings_of_a_network_that_was_not_chosen(folder: Path) -> None:
    network = json.loads((folder / "config.json").read_text())["network"]
    edit_config(folder, network=network | {"attention": {"hidden": 8}})
    assert fault(folder) == (
        f"{folder}: config.json is damaged or of another version "
        "(network: Value error, --attention.hidden belongs to --model attention, "
        f"and the model is gru); "
        f"this is annoseq {__version__}. Use the version that wrote it, or train again."
    )


@pytest.mark.parametrize("changed", [{"gru": {"hidden": 17}}, {"model": "attention"}, {}])
def test_a_network_that_is_not_that_of_the_weights(
    folder: Path, changed: dict[str, object]
) -> None:
    network = {"model": "gru"} | changed
    edit_config(folder, network=network)
    assert fault(folder) == (
        f"{folder}: damaged: weights.safetensors is not of the network that config.json "
        "describes. Train again."
    )


def test_weights_that_are_none(folder: Path) -> None:
    replace_file(folder, "weights.safetensors", b"not weights at all")
    message = fault(folder)
    assert message.startswith(f"{folder}: damaged: ")
    assert message.endswith(". Train again.")
    assert "\n" not in message


def test_vocabularies_that_are_none(folder: Path) -> None:
    replace_file(folder, "target.json", b"{}")
    message = fault(folder)
    assert message.startswith(f"{folder}: damaged: target.json: not a tokenizer file: ")
    assert message.endswith(". Train again.")


def test_the_history_is_saved(folder: Path, tmp_path: Path) -> None:
    model = replace(TrainedModel.load(folder), history=sample_history())
    model.save(tmp_path / "again", card="")
    assert TrainedModel.load(tmp_path / "again").history == sample_history()


@pytest.mark.parametrize(
    ("content", "fault_"),
    [
        (b"", "the whole file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b'{"epochs": [], "steps": 0, "losses": []}', "rates: Field required"),
    ],
)
def test_a_damaged_history(content: bytes, fault_: str, folder: Path) -> None:
    replace_file(folder, "history.json", content)
    assert fault(folder) == (
        f"{folder}: history.json is damaged or of another version ({fault_}). Use the version "
        "that wrote it, or train again."
    )


def test_an_existing_folder_is_kept(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model"
    trained.save(path, card="the old one")
    with pytest.raises(OutputError) as caught:
        trained.save(path, card="the new one")
    assert str(caught.value) == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert (path / "card.md").read_text() == "the old one"
    trained.save(path, card="the new one", overwrite=True)
    assert (path / "card.md").read_text() == "the new one"
    assert names(path) == [*FILES, "weights.safetensors"]


def test_a_full_disk_leaves_nothing_half_written(trained: TrainedModel, tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    trained.save(old, card="the old one")
    for path in (new, old):
        with file_size_limit(9_000), pytest.raises(OutputError) as caught:
            trained.save(path, card="x", overwrite=True)
        message = str(caught.value)
        assert message.startswith(f"{path} cannot be written: ")
        assert "File too large" in message
        assert message.endswith(
            "Nothing was changed; choose a folder that exists, is writable and has room."
        )
    assert names(tmp_path) == ["old"]
    assert (old / "card.md").read_text() == "the old one"
    assert TrainedModel.load(old).config.epochs == 2
