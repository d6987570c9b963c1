"""prepare, find-lr and train."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from annoseq.models.serialization import TrainedModel
from annoseq.training.recorder import Epoch
from tests.cli.command import TINY, long_refusal, refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

MODEL_FILES = {
    "card.md",
    "config.json",
    "history.json",
    "labels.json",
    "source.json",
    "target.json",
    "weights.safetensors",
}
PNG = b"\x89PNG"


def test_prepare_writes_a_folder_that_is_complete(data: Path) -> None:
    names = {"config.json", "labels.json", "source.json", "target.json"}
    assert snapshot(data).keys() == names | {"train.parquet", "valid.parquet"}


def test_prepare_says_what_it_made_and_what_comes_next(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    result = run("prepare", table, "--out", out, "--valid-share", 0.5, "--split-by", "row")
    assert (result.code, result.out) == (0, "")
    sizes, *warnings, saved = result.err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert sizes.startswith("annotate: 20 training and 20 validation rows; vocabularies of ")
    assert saved == f"saved {out}; next: annoseq train {out} --out model"


def test_train_writes_a_model_folder_that_is_complete(model: Path) -> None:
    assert snapshot(model).keys() == MODEL_FILES
    assert not model.with_name("model.training").exists()
    config = json.loads((model / "config.json").read_text())
    assert config["network"]["gru"]["hidden"] == 8
    assert config["epochs"] == 1


def test_prepared_data_train_the_same_model_as_their_table(
    data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    result = run("train", data, "--out", out, *TINY)
    assert result.code == 0
    assert result.err.endswith(f"saved {out}; next: annoseq evaluate {out} PAIRS --show 10\n")
    assert snapshot(out)["weights.safetensors"] == snapshot(model)["weights.safetensors"]


@pytest.mark.parametrize(
    "option",
    [
        ("--valid-share", "0.5"),
        ("--source", "orig_text"),
        ("--max-vocab", "100"),
        ("--skip-bad",),
        ("--input-format", "csv"),
        ("--valid", "other.csv"),
    ],
)
def test_prepared_data_take_no_options_about_preparing(
    option: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    assert refusal(run("train", data, "--out", tmp_path / "model", *TINY, *option)) == (
        f"{data} is prepared data, for which {option[0]} was decided by `annoseq prepare`. "
        f"Leave {option[0]} off, or prepare the data again."
    )
    assert snapshot(tmp_path) == {}


def test_prepared_data_are_not_prepared_again(data: Path, tmp_path: Path) -> None:
    message = refusal(run("prepare", data, "--out", tmp_path / "data"))
    assert message == f"{data} is a folder. Give a table of pairs."


def test_find_lr_suggests_a_rate_and_draws_the_curve(short: Path, tmp_path: Path) -> None:
    plot = tmp_path / "lr.png"
    result = run("find-lr", short, "--plot", plot, "--gru.hidden", 8, "--gru.embedding", 8)
    assert result.code == 0
    found = re.fullmatch(r"suggested --max-lr (\S+)\n", result.out)
    assert found
    assert 1e-7 < float(found[1]) < 10
    assert result.err.endswith(f"wrote {plot}\n")
    assert plot.read_bytes().startswith(PNG)


def test_the_number_of_steps_of_a_range_test_is_checked(short: Path) -> None:
    small = ("--gru.hidden", 8, "--gru.embedding", 8, "--max-lr", "1e-3", "--epochs", 2)
    few = run("find-lr", short, "--steps", 4, *small)
    assert few.code == 0
    assert few.out.startswith("suggested --max-lr ")
    assert few.err.splitlines()[-1] == (
        "a range test has rates of its own, and --steps batches: --epochs, --max-lr not used"
    )
    assert "--steps" in refusal(run("find-lr", short, "--steps", 1))


def test_train_prints_the_table_of_epochs_and_draws_the_curves(data: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curves.png"
    result = run(
        "train",
        data,
        "--out",
        tmp_path / "model",
        *TINY[:4],
        "--epochs",
        3,
        "--device",
        "cpu",
        "--plot",
        plot,
    )
    header, *epochs, speed = result.out.splitlines()
    assert header == Epoch.header(["padded_accuracy", "token_accuracy", "exact_match"])
    epochs = [line for line in epochs if not line.startswith("kept ")]
    assert [line.split()[0] for line in epochs] == ["1", "2", "3"]
    assert re.fullmatch(r"[\d,]+ pairs/s, peak memory \d+\.\d\d GB \(cpu\)", speed)
    assert plot.read_bytes().startswith(PNG)


def test_training_goes_on_from_a_model(table: Path, model: Path, tmp_path: Path) -> None:
    before = snapshot(model)
    out = tmp_path / "more"
    result = run("train", table, "--out", out, "--go-on-from", model, "--epochs", 2)
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()[1:3]] == ["2", "3"]
    assert snapshot(model) == before
    config = json.loads((out / "config.json").read_text())
    assert (config["epochs"], config["network"]["gru"]["hidden"]) == (3, 8)


def test_training_that_goes_on_keeps_the_validation_rows(table: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run("train", table, "--out", first, *TINY, "--valid-share", 0.4, "--split-seed", 5)
    assert run("train", table, "--out", second, "--go-on-from", first, "--epochs", 1).code == 0
    one, other = (TrainedModel.load(folder).config for folder in (first, second))
    assert (one.data, one.valid_fingerprint) == (other.data, other.valid_fingerprint)
    assert other.base_fingerprints == ()


def test_training_that_goes_on_with_other_pairs_warns(
    table: Path, model: Path, tmp_path: Path
) -> None:
    more, out = tmp_path / "more.csv", tmp_path / "out"
    head, *rows = table.read_text().splitlines()
    more.write_text("\n".join([head, *rows[::-1]]) + "\n")
    options = ("--out", out, "--go-on-from", model, "--epochs", 1)
    result = run("train", more, *options)
    assert "warning: these are not the pairs that the model of --go-on-from was" in result.err
    assert "Give rows that it has not seen with --valid FILE" in result.err
    base = TrainedModel.load(model).config
    assert TrainedModel.load(out).config.base_fingerprints == (base.fingerprint,)
    scored = run("evaluate", out, table)
    assert f"warning: {table} is a table that the model was trained on before" in scored.err
    again = run("train", more, "--out", tmp_path / "again", "--go-on-from", out, "--epochs", 1)
    assert "warning: the model of --go-on-from was trained on other pairs before" in again.err
    other = run("train", table, *options, "--overwrite", "--split-by", "row")
    assert "warning: the model of --go-on-from kept other rows for validation" in other.err
    valid = run("train", more, *options, "--overwrite", "--valid", table)
    assert "--go-on-from" not in valid.err


@pytest.mark.parametrize(
    "options",
    [
        ("--gru.hidden", 9),
        ("--model", "gru"),
        ("--model", "attention"),
        ("--attention.hidden", 9, "--model", "attention"),
        ("--max-vocab", 9),
        ("--min-frequency", 9),
        ("--tokens", "bpe"),
        ("--bpe-vocab", 600),
        ("--task", "translate"),
    ],
)
def test_training_that_goes_on_cannot_change_what_is_settled(
    options: tuple[object, ...], table: Path, model: Path, tmp_path: Path
) -> None:
    option = options[0]
    arguments = ("--out", tmp_path / "more", "--go-on-from", model, *options)
    assert refusal(run("train", table, *arguments)) == (
        f"{option} was settled when the model of --go-on-from was first trained. "
        f"Leave {option} off, or train a new model."
    )


ATTENTION = (
    *("--model", "attention", "--attention.embedding", 8, "--attention.hidden", 8),
    *("--device", "cpu"),
)


def test_attention_is_trained_goes_on_and_annotates(table: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--teacher-forcing", "falling", "--label-smoothing", 0.1, "--epochs", 2)
    assert run("train", table, "--out", first, *ATTENTION, *options).code == 0
    config = json.loads((first / "config.json").read_text())
    assert config["network"].keys() == {"model", "attention"}
    training = config["training"]
    assert (training["teacher_forcing"], training["loss"]) == ("falling", "token")
    more = ("--go-on-from", first, "--epochs", 1, "--keep", "last", "--teacher-forcing", 0.5)
    assert run("train", table, "--out", second, *more).code == 0
    config = json.loads((second / "config.json").read_text())
    assert (config["epochs"], config["network"]["model"]) == (3, "attention")
    assert run("annotate", second, table, "--out", tmp_path / "out.jsonl").code == 0
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 40


def test_training_stops_early_when_asked(data: Path, tmp_path: Path) -> None:
    """At next to no rate nothing gets better."""
    options = ("--epochs", 5, "--max-lr", "1e-12", "--early-stopping", 2)
    result = run("train", data, "--out", tmp_path / "model", *TINY[:4], *options)
    _, *epochs, stopped, kept, _ = result.out.splitlines()
    assert [line.split()[0] for line in epochs] == ["1", "2", "3"]
    assert stopped == "stopped: no better token accuracy since epoch 1"
    assert kept == "kept the weights of epoch 1"
    assert json.loads((tmp_path / "model" / "config.json").read_text())["epochs"] == 3


def test_a_table_of_validation_pairs_stands_in_for_a_split(table: Path, tmp_path: Path) -> None:
    valid = tmp_path / "valid.csv"
    run("sample", valid, "--rows", 12, "--seed", 3)
    result = run("train", table, "--out", tmp_path / "model", "--valid", valid, *TINY)
    assert result.code == 0
    assert result.err.startswith("annotate: 40 training and 12 validation rows;")


def test_the_same_columns_the_other_way_round_train_the_reverse(
    table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    columns = ("--source", "annotated_text", "--target", "orig_text", "--task", "translate")
    result = run("train", table, "--out", out, *columns, *TINY)
    assert result.code == 0
    assert result.err.startswith("translate: ")
    assert json.loads((out / "config.json").read_text())["task"] == "translate"


def test_any_two_columns_train_a_translator(tmp_path: Path) -> None:
    path, out = tmp_path / "pairs.tsv", tmp_path / "model"
    rows = [f"le chien {n}\tthe dog {n}" for n in range(20)]
    path.write_text("\n".join(["fr\ten", *rows]) + "\n")
    result = run("train", path, "--source", "fr", "--target", "en", "--out", out, *TINY)
    assert result.code == 0
    assert snapshot(out).keys() == MODEL_FILES
    lines = run("annotate", out, path, "--column", "fr").out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"le chien {n}" for n in range(20)]


@pytest.fixture
def broken(table: Path, tmp_path: Path) -> Path:
    """Return the table with two more rows, which cannot be used."""
    path = tmp_path / "broken.csv"
    rows = ('"z","1","Dr. Ames","Dr. {{NAME}}Ames"', '"z","2","Dr. Ames","Mr. Ames"')
    path.write_text(table.read_text() + "\n".join(rows) + "\n")
    return path


def test_rows_that_cannot_be_used_are_named_before_training(broken: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    message = long_refusal(run("train", broken, "--out", tmp_path / "model", *TINY))
    first, *rows, last = message.splitlines()
    assert first == f"{broken}: 2 of 42 rows cannot be used:"
    assert [row.split(":")[0] for row in rows] == ["  row 41", "  row 42"]
    assert "Ames" not in message
    assert last == "Mend them (`annoseq check` shows each), or leave them out with --skip-bad."
    assert snapshot(tmp_path) == before


def test_rows_that_cannot_be_used_in_the_validation_table_are_named(
    table: Path, broken: Path, tmp_path: Path
) -> None:
    arguments = ("--out", tmp_path / "model", "--valid", broken, *TINY)
    message = long_refusal(run("train", table, *arguments))
    assert message.startswith(f"{broken}: 2 of 42 rows cannot be used:\n  row 41: ")


def test_rows_that_cannot_be_used_are_left_out_when_asked(broken: Path, tmp_path: Path) -> None:
    result = run("train", broken, "--out", tmp_path / "model", "--skip-bad", *TINY)
    assert result.code == 0
    assert "2 rows cannot be used and were left out (--skip-bad)\n" in result.err
    assert "**rows left out**: 2\n" in (tmp_path / "model" / "card.md").read_text()


def test_a_table_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("orig_text,annotated_text\n" + "Dr. Ames,Dr. {{NAME}}Ames\n" * 3)
    message = refusal(
        run("train", path, "--out", tmp_path / "m", "--skip-bad", "--task", "annotate")
    )
    assert message == f"{path}: none of its 3 rows can be used. `annoseq check` shows why."


def test_one_document_cannot_be_split_by_document(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("doc_id,orig_text,annotated_text\n" + "1,a b,a {{X}}b{{/X}}\n" * 4)
    message = refusal(run("train", path, "--out", tmp_path / "m", "--split-by", "document"))
    assert "all rows are of one document" in message
    bare = tmp_path / "bare.csv"
    bare.write_text("orig_text,annotated_text\n" + "a b,a {{X}}b{{/X}}\n" * 4)
    message = refusal(run("train", bare, "--out", tmp_path / "m", "--split-by", "document"))
    assert "--document" in message


@pytest.mark.parametrize("options", [("--epochs", 3), ("--epochs", 1, "--batch-size", 1000)])
def test_a_rate_that_is_far_too_high_is_told_from_a_model(
    options: tuple[object, ...], data: Path, tmp_path: Path
) -> None:
    training = (*TINY[:4], *options, "--max-lr", "1e30")
    result = run("train", data, "--out", tmp_path / "model", *training)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(
        "annoseq: the loss is no longer a number in epoch "
    )
    assert result.err.endswith(
        "a lower --max-lr, which `annoseq find-lr` suggests, or with --clip-norm 1 or less.\n"
    )
    assert not (tmp_path / "model").exists()


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    assert refusal(run("train", "-", "--valid", "-", "--out", tmp_path / "model")) == (
        "standard input cannot be read twice. Give a file of pairs, or of --valid."
    )
