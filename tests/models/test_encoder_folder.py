from __future__ import annotations

import builtins
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from annoseq.errors import EncoderError, ModelError
from annoseq.inference.annotator import Annotator
from annoseq.models.build import build_tagger
from annoseq.models.encoder_folder import open_encoder
from annoseq.models.model_config import ENCODER_FILES, ENCODER_WEIGHTS
from annoseq.models.serialization import TrainedModel
from annoseq.models.tagger import Tagger
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.encoders import FAMILIES, change_config, encoder_folder, write_encoder_folder
from tests.fidelity import TAGGERS, hard_texts, random_annotator
from tests.tiny import same_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITH_ENCODER = [name for name in TAGGERS if "pre-trained" in name]
TEXTS = list(hard_texts(20, seed="saved"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an encoder of its own, to be damaged."""
    path = tmp_path / "some-bert"
    shutil.copytree(encoder_folder("bert"), path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the folder of a tagger with an encoder."""
    path = tmp_path / "model"
    random_annotator(WITH_ENCODER[0]).model.save(path, card="")
    return path


def without(package: str) -> Callable[..., Any]:
    """Return an import function that does not find a package."""
    real_import = builtins.__import__

    def absent(name: str, *arguments: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real_import(name, *arguments)

    return absent


def refusal(source: str | Path, *, layers: int | None = None) -> str:
    with pytest.raises(EncoderError) as raised:
        open_encoder(source, layers=layers)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_record_names_the_origin(family: str) -> None:
    encoder = open_encoder(encoder_folder(family))
    record = encoder.record
    assert (record.name, record.model_type) == (f"tiny-{family}", family)
    assert (record.layers, record.width, record.license) == (2, 8, "mit, as its README.md says")
    assert len(record.fingerprint) == 64
    assert encoder.notice == "Permission is hereby granted.\n"
    assert record.summary() == (
        f"tiny-{family} ({family}, 2 layers of 8, sha256 {record.fingerprint[:12]})"
    )


def test_a_licence_may_be_in_its_file_alone_or_nowhere(folder: Path) -> None:
    (folder / "README.md").unlink()
    assert open_encoder(folder).record.license == "see below"
    (folder / "LICENSE").unlink()
    assert open_encoder(folder).record.license == "not stated in its folder"


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_a_saved_tagger_annotates_the_same(name: str, tmp_path: Path) -> None:
    annotator = random_annotator(name)
    annotator.model.save(tmp_path / "model", card="")
    loaded = Annotator.load(tmp_path / "model")
    assert loaded.model.config.encoder == annotator.model.config.encoder
    assert loaded.annotate(TEXTS, advance=lambda _: None) == annotator.annotate(
        TEXTS, advance=lambda _: None
    )
    assert not [
        key for key in load_file(tmp_path / "model" / "weights.safetensors") if "net" in key
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_encoder_gives_the_same_vectors(family: str, tmp_path: Path) -> None:
    plain = random_annotator("flat tagger").model
    assert isinstance(plain.tokenizer, TaggerTokenizer)
    encoder = open_encoder(encoder_folder(family))
    network = build_tagger(
        plain.config.network.tagger, plain.tokenizer, seed=1, pretrained=encoder
    ).eval()
    config = plain.config.model_copy(update={"encoder": encoder.record})
    replace(plain, network=network, config=config).save(tmp_path / "model", card="")
    loaded = TrainedModel.load(tmp_path / "model").network.eval()
    assert isinstance(loaded, Tagger)
    assert loaded.pretrained is not None
    hasher = FeatureHasher(buckets=1024)
    ids = torch.tensor([hasher.token_ids(["Dr", " Ames", "31", "\u200b"] * 12)])
    lengths = torch.tensor([ids.shape[1]])
    with torch.no_grad():
        ours, theirs = (one(hasher, ids, lengths) for one in (encoder, loaded.pretrained))
    assert torch.equal(ours, theirs)


def test_transformers_reads_the_tuned_encoder(model: Path) -> None:
    network = random_annotator(WITH_ENCODER[0]).model.network
    assert isinstance(network, Tagger)
    assert network.pretrained is not None
    tuned = transformers.AutoModel.from_pretrained(model / "encoder", add_pooling_layer=False)
    assert same_weights(tuned, network.pretrained.network)
    again = open_encoder(model / "encoder")
    assert again.record.name == "model/encoder"
    assert again.record.license == "see below"
    notice = (model / "encoder" / "NOTICE.txt").read_text()
    origin = network.pretrained.record
    assert notice == (
        f"Fine-tuned from tiny-bert, sha256 {origin.fingerprint}.\n"
        "Licence of the original: mit, as its README.md says\n\nPermission is hereby granted.\n"
    )


def test_a_model_saved_twice_has_the_same_notice(model: Path, tmp_path: Path) -> None:
    TrainedModel.load(model).save(tmp_path / "again", card="")
    for name in ENCODER_FILES:
        assert (tmp_path / "again" / name).read_bytes() == (model / name).read_bytes()


def test_the_weights_of_both_files_are_in_the_fingerprint(model: Path) -> None:
    trained = TrainedModel.load(model)
    files = {**trained.config.files, ENCODER_WEIGHTS: "other"}
    other = replace(trained, config=trained.config.model_copy(update={"files": files}))
    assert trained.fingerprint != other.fingerprint


def test_a_model_with_an_encoder_needs_transformers(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "__import__", without("transformers"))
    with pytest.raises(EncoderError, match=r"Run: pip install 'annoseq\[encoders\]'$"):
        TrainedModel.load(model)


@pytest.mark.parametrize("name", ENCODER_FILES)
def test_a_model_without_a_file_of_its_encoder_is_refused(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match=f"{name.rpartition('/')[2]} cannot be read"):
        TrainedModel.load(model)


def test_a_folder_that_is_a_link_to_another_place_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "encoder").rename(tmp_path / "elsewhere")
    (model / "encoder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link to a file outside the folder"):
        TrainedModel.load(model)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == (
        f"--encoder {tmp_path / 'none'}: there is no such folder. Give a folder with the files of "
        "a pre-trained encoder, or its name on the Hugging Face hub."
    )
    assert refusal(str(tmp_path / "none")) == refusal(tmp_path / "none")


def test_a_name_that_the_hub_cannot_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert refusal("nobody/nothing") == (
        "--encoder nobody/nothing: there is no such folder here, and the Hugging Face hub has no "
        "such encoder or cannot be reached. Download its files where it can be, and give their "
        "folder."
    )


def test_a_name_of_the_hub_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(encoder_folder("bert"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert open_encoder("somebody/bert").record.name == "somebody/bert"
    ((name, patterns),) = asked
    assert name == "somebody/bert"
    assert not [pattern for pattern in patterns if "bin" in pattern or ".py" in pattern]  # type: ignore[attr-defined]


def test_without_transformers_the_message_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builtins, "__import__", without("transformers"))
    assert refusal("anything") == (
        "A pre-trained encoder needs transformers, which is not installed. "
        "Run: pip install 'annoseq[encoders]'"
    )


def test_pickles_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refusal(folder) == (
        f"--encoder {folder}: its weights must be .safetensors, and there is only "
        "pytorch_model.bin, a pickle, which can run code. Give a version with model.safetensors, "
        "or convert it where you trust the file: load it with transformers, and save_pretrained it."
    )
    (folder / "pytorch_model.bin").unlink()
    assert ".safetensors, and there is none. Give" in refusal(folder)


def test_a_folder_without_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert f"--encoder {folder}: there is no config.json in it." in refusal(folder)


def test_code_of_an_encoder_is_not_run(folder: Path) -> None:
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    auto_map = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    change_config(folder, model_type="own", auto_map=auto_map)
    message = refusal(folder)
    assert message.startswith(f"--encoder {folder}: transformers cannot read this encoder: ")
    assert message.endswith(
        "Its own code is never run. Give an encoder that transformers has the code of, with all of "
        "its files."
    )


def test_an_encoder_and_decoder_is_refused(folder: Path) -> None:
    change_config(folder, is_encoder_decoder=True)
    assert refusal(folder) == (
        f"--encoder {folder}: a bert model has an encoder and a decoder. Give an encoder such as "
        "BERT, RoBERTa, XLM-R, DeBERTa, MPNet or ModernBERT."
    )


def test_a_network_that_reads_no_text_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit"}')
    assert "a vit model does not read text. Give" in refusal(folder)


def test_more_layers_than_there_are_are_refused(folder: Path) -> None:
    assert refusal(folder, layers=3) == (
        f"--tagger.encoder-layers 3 was given, and {folder} has 2 layers. Give at most that many."
    )


def test_missing_weights_are_not_drawn_at_random(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    missing = sorted(name for name in weights if name.startswith("encoder.layer.1."))
    save_file({name: weights[name] for name in weights if name not in missing}, path)
    assert refusal(folder) == (
        f"--encoder {folder}: its weights lack {len(missing)} tensors of a bert, the first of "
        f"which is {missing[0]}. Give the files of a whole encoder."
    )


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change_config(folder, intermediate_size=32)
    assert "transformers cannot read this encoder: " in refusal(folder)


def test_damaged_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    assert "transformers cannot read this encoder: " in refusal(folder)


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert refusal(folder) == (
        f"--encoder {folder}: its tokenizer.json is missing or damaged. Write it by "
        "AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers."
    )


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "modernbert"])
def test_a_folder_without_a_vocabulary_is_refused(family: str, tmp_path: Path) -> None:
    """Of ModernBERT transformers itself makes no tokenizer out of nothing."""
    folder = write_encoder_folder(family, tmp_path / family)
    (folder / "tokenizer.json").unlink()
    assert refusal(folder) == (
        f"--encoder {folder}: its tokenizer knows special symbols alone, and no word. Add the "
        "tokenizer.json of the encoder, or the file of its vocabulary, such as vocab.txt."
    )


def test_an_older_vocabulary_is_converted(folder: Path) -> None:
    vocabulary = transformers.AutoTokenizer.from_pretrained(folder).get_vocab()
    (folder / "tokenizer.json").unlink()
    lines = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    converted = open_encoder(folder).tokenizer
    expected = open_encoder(encoder_folder("bert")).tokenizer
    words = ["Dr", " Ames", "31", "nobody"]
    assert converted.split(words) == expected.split(words)
    assert converted.special_ids == expected.special_ids


def test_a_tokenizer_with_more_sub_words_than_weights_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    other = write_encoder_folder("roberta", tmp_path / "roberta")
    shutil.copy(other / "tokenizer.json", folder / "tokenizer.json")
    assert "its tokenizer has 300 sub-words, and its weights 10" in refusal(folder)


def test_weights_of_half_precision_are_read_as_single(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: one.half() for name, one in load_file(path).items()}, path)
    assert {one.dtype for one in open_encoder(folder).network.parameters()} == {torch.float32}
