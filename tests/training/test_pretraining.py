"""Pre-training of a tagger, and taggers that begin with its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import PretrainingConfig, TaggerConfig, TrainingConfig
from annoseq.errors import DatasetError, ModelError, OptionError
from annoseq.models.language_model import LanguageModel, is_pretrained
from annoseq.training.learner import Learner
from annoseq.training.pretraining import Pretraining
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset

TINY_TAGGER = TaggerConfig(hidden=8, embedding=8, buckets=1024)
TEXTS = ["The patient saw Dr. Ames on Monday.", "She takes 12 mg for it, twice a day."] * 60


def pretraining(**settings: float) -> Pretraining:
    """Return a pre-training of two epochs."""
    config = PretrainingConfig.model_validate({"epochs": 2, "max_lr": 0.03, **settings})
    return Pretraining(TEXTS, tagger=TINY_TAGGER, training=config, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = pretraining()
    rows: list[str] = []
    run.fit(report=rows.append)
    assert rows[0].split() == ["epoch", "train_loss", "valid_loss", "word_accuracy", "time"]
    before, after = (float(row.split()[3]) for row in rows[1:])
    assert 0 <= before < after <= 1
    assert run.perplexity == pytest.approx(math.exp(float(rows[2].split()[2])), rel=1e-3)
    path = tmp_path_factory.mktemp("language") / "lm"
    run.save(path)
    return path


def test_the_folder_tells_what_was_read_but_no_word(folder: Path) -> None:
    model = LanguageModel.load(folder)
    assert repr(model).startswith("<LanguageModel: lm (120 texts of 1,200 tokens, sha256 ")
    assert all(map(is_pretrained, model.weights))
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    for word in (b"Ames", b"ames", b"Monday", b"patient"):
        assert word not in content
    assert "- **texts**: 120, of 1,200 tokens\n" in (folder / "card.md").read_text()


def test_a_tagger_begins_with_the_weights(folder: Path, dataset: Dataset) -> None:
    learner = Learner(dataset, model=TINY_TAGGER, device="cpu", language_model=folder)
    plain = Learner(dataset, model=TINY_TAGGER, device="cpu").network.state_dict()
    weights = LanguageModel.load(folder).weights
    for name, tensor in learner.network.state_dict().items():
        assert torch.equal(tensor.cpu(), weights[name] if is_pretrained(name) else plain[name])
    assert learner.language_model == LanguageModel.load(folder).record


def test_a_model_records_it(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    learner = Learner(
        dataset, model=TINY_TAGGER, training=TrainingConfig(epochs=1), language_model=folder
    )
    learner.fit_one_cycle(report=lambda _: None)
    learner.save(tmp_path / "m")
    again = Learner.load(tmp_path / "m", dataset)
    assert again.language_model == learner.language_model
    assert (
        "- **language model**: began with the weights of lm (120 texts of 1,200 tokens, "
        in (tmp_path / "m" / "card.md").read_text()
    )


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, cut, resumed = pretraining(), pretraining(), pretraining()
    whole.fit(report=lambda _: None)

    def stop(row: str) -> None:
        if row.startswith("    2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(checkpoint=tmp_path / "c", report=stop)
    rows: list[str] = []
    resumed.fit(checkpoint=tmp_path / "c", resume=True, report=rows.append)
    assert len(rows) == 2
    expected = whole.network.state_dict()
    for name, weights in resumed.network.state_dict().items():
        assert torch.equal(weights, expected[name]), name


@pytest.mark.parametrize(
    ("tagger", "message"),
    [
        (
            TINY_TAGGER.model_copy(update={"hidden": 16}),
            "--language-model lm: it has --tagger.hidden 8, and the tagger 16. Give "
            "--tagger.hidden 8, or pre-train again with --tagger.hidden 16.",
        ),
        (
            TINY_TAGGER.model_copy(update={"layers": 2}),
            "--language-model lm: it is an LSTM of one layer. Leave --tagger.encoder "
            "and --tagger.layers off, or train without a language model.",
        ),
        (
            TINY_TAGGER.model_copy(update={"encoder": "convolution"}),
            "--language-model lm: it is an LSTM of one layer. Leave --tagger.encoder "
            "and --tagger.layers off, or train without a language model.",
        ),
    ],
)
def test_sizes_must_agree(
    folder: Path, dataset: Dataset, tagger: TaggerConfig, message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        Learner(dataset, model=tagger, language_model=folder)
    assert str(caught.value) == message.replace("lm:", f"{folder}:")


def test_other_inputs_of_the_tagger_are_refused(folder: Path, dataset: Dataset) -> None:
    for option in ("encoder", "vectors"):
        given: dict[str, Any] = {option: encoder_folder("bert")}
        with pytest.raises(OptionError) as caught:
            Learner(dataset, model=TINY_TAGGER, language_model=folder, **given)
        assert str(caught.value) == (
            f"--language-model {folder}: it has learned from hashed features alone, and with "
            f"--{option} the tagger reads others beside them. Leave one of the two off."
        )
    with pytest.raises(OptionError, match="--language-model is for the tagger, and the model is"):
        Learner(dataset, model="gru", language_model=folder)


@pytest.mark.parametrize(
    ("texts", "rows"), [([], "0 rows"), (["", ""], "0 rows"), (["one row"], "1 row")]
)
def test_texts_have_rows_to_learn_from_and_to_validate(texts: list[str], rows: str) -> None:
    with pytest.raises(DatasetError) as few:
        Pretraining(texts, tagger=TINY_TAGGER)
    assert str(few.value) == (
        f"the texts have {rows} with words, and at least 2 are needed: one to learn from, and one "
        "for validation. Give more texts."
    )


def test_only_an_lstm_of_one_layer_is_pretrained() -> None:
    with pytest.raises(OptionError) as other:
        Pretraining(TEXTS, tagger=TaggerConfig(layers=2))
    assert str(other.value) == (
        "pre-training needs an LSTM of one layer, which reads a text in one direction at a time. "
        "Leave --tagger.encoder and --tagger.layers off."
    )


def test_two_rows_are_enough(tmp_path: Path) -> None:
    few = Pretraining(["One.", "Two."], tagger=TINY_TAGGER)
    few.save(tmp_path / "untrained")
    assert "- **perplexity**: not measured\n" in (tmp_path / "untrained" / "card.md").read_text()
    assert LanguageModel.load(tmp_path / "untrained").config.perplexity is None
    few.fit(report=lambda _: None)
    assert few.perplexity is not None
    assert math.isfinite(few.perplexity)


def test_damaged_folders_are_refused(folder: Path, model_folder: Path, tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(ModelError) as caught:
            LanguageModel.load(path)
        return str(caught.value)

    hint = "Give a folder that `annoseq pretrain --out` wrote."
    nothing = tmp_path / "nothing"
    assert message(nothing) == (
        f"--language-model {nothing}: config.json cannot be read: No such file or directory. {hint}"
    )
    assert message(model_folder).endswith(hint)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in folder.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    weights = damaged / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert message(damaged) == (
        f"{damaged}: weights.safetensors is not the file that was saved with it. Copy the whole "
        "folder again, or pre-train again."
    )
    weights.unlink()
    assert message(damaged) == (f"{damaged}: weights.safetensors cannot be read. Pre-train again.")
