from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from annoseq.config import BatchConfig
from annoseq.data.tables import read_rows
from annoseq.devices import ComputeDevice
from annoseq.errors import OutputError, TableError
from annoseq.evaluation.token_accuracy import Accuracy, Ratio, measure_accuracy
from annoseq.inference.predictor import Prediction, Predictions, decode_rows, predict
from annoseq.models.tagger import Tagger
from annoseq.tokenization.batching import collate
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import END, PAD
from tests.scripted import Scripted, as_network

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset

AWKWARD = [
    "plain",
    "",
    'quotes "within" and ""twice""',
    "commas, and; tabs\t",
    "lines\nand\r\nline ends\n",
    "a lone\rcarriage return",
    "\r",
    " spaces at both ends ",
    "NA",
    "0012",
    "Zoë 😀 \u2028 \x85",
    "{{NAME}}tagged{{/NAME}}",
]
PREDICTIONS = Predictions(
    [Prediction(row, text, text[::-1], text * 2) for row, text in enumerate(AWKWARD, start=3)],
    Accuracy(),
)


def run(trained: TrainedModel, dataset: Dataset, *, batch_size: int = 16) -> Predictions:
    assert not isinstance(trained.network, Tagger)
    assert isinstance(trained.tokenizer, Seq2SeqTokenizer)
    return predict(
        trained.network,
        dataset.valid,
        trained.tokenizer,
        compute=ComputeDevice.select(),
        batching=BatchConfig(batch_size=batch_size),
    )


def test_they_are_in_the_order_of_the_set(trained: TrainedModel, dataset: Dataset) -> None:
    predictions = run(trained, dataset)
    assert [one.row for one in predictions] == [pair.row for pair in dataset.valid]
    assert [one.source for one in predictions] == [pair.source for pair in dataset.valid]
    assert [one.target for one in predictions] == [example.reference for example in dataset.valid]


def test_they_do_not_depend_on_the_batches(trained: TrainedModel, dataset: Dataset) -> None:
    together, alone = run(trained, dataset), run(trained, dataset, batch_size=1)
    assert list(together) == list(alone)
    assert together.accuracy.token == alone.accuracy.token
    assert together.accuracy.exact == alone.accuracy.exact


def test_every_output_stands_beside_its_own_row(dataset: Dataset) -> None:
    """A network that writes every target perfectly is perfect in every figure."""
    part, tokenizer = dataset.train, dataset.tokenizer
    encodings = dataset.encoded_train.encodings
    perfect = Scripted([[*row.target, END] for row in encodings], size=len(tokenizer.target))
    predictions = predict(
        as_network(perfect),
        part,
        tokenizer,
        compute=ComputeDevice.select(),
        batching=BatchConfig(batch_size=7),
    )
    for one, example in zip(predictions, encodings, strict=True):
        assert one.output == tokenizer.decode(example.target)
    assert predictions.accuracy.padded.value == 1
    assert predictions.accuracy.token.value == 1
    is_known = [1 not in example.target for example in encodings]
    assert 0 < sum(is_known) < len(is_known)
    assert predictions.accuracy.exact == Ratio(sum(is_known), len(is_known))
    exact = [one.is_exact for one in predictions]
    assert [known for known, ok in zip(is_known, exact, strict=True) if ok] == [True] * sum(exact)


def test_the_accuracy_is_summed_over_the_batches(dataset: Dataset) -> None:
    part, tokenizer = dataset.valid, dataset.tokenizer
    encodings = dataset.encoded_valid.encodings
    silent = Scripted([[END]] * len(part), size=len(tokenizer.target))
    predictions = predict(
        as_network(silent),
        part,
        tokenizer,
        compute=ComputeDevice.select(),
        batching=BatchConfig(batch_size=1),
    )
    expected = Accuracy()
    for row in range(len(part)):
        target = collate([row], encodings).target
        assert target is not None
        expected += measure_accuracy(target.new_full((1, 1), END), target)
    assert predictions.accuracy == expected
    assert {one.output for one in predictions} == {""}


def test_rows_are_decoded_up_to_their_end(dataset: Dataset) -> None:
    tokenizer = dataset.tokenizer
    first, second = 4, len(tokenizer.target) - 1
    ids = [[first, second, END, first], [second, PAD, first, END], [END, first, first, first]]
    target = collate([0], dataset.encoded_train.encodings).target
    assert target is not None
    assert decode_rows(target.new_tensor(ids), tokenizer) == [
        tokenizer.decode([first, second]),
        tokenizer.decode([second]),
        "",
    ]


def test_any_row_by_index() -> None:
    assert len(PREDICTIONS) == len(AWKWARD)
    assert PREDICTIONS[0] == Prediction(3, "plain", "nialp", "plainplain")
    assert PREDICTIONS[-1].source == AWKWARD[-1]
    assert [one.row for one in PREDICTIONS[2:4]] == [5, 6]
    with pytest.raises(IndexError):
        PREDICTIONS[len(AWKWARD)]


def test_exact_means_character_for_character() -> None:
    assert Prediction(1, "a", "b", "b").is_exact
    assert not Prediction(1, "a", "b", "b ").is_exact


def test_a_frame_has_a_row_for_each() -> None:
    frame = PREDICTIONS.to_frame()
    assert list(frame.columns) == ["source", "target", "output"]
    assert list(frame.index) == list(range(3, 3 + len(AWKWARD)))
    assert list(frame["source"]) == AWKWARD
    assert list(Predictions([], Accuracy()).to_frame().columns) == ["source", "target", "output"]


def test_showing_puts_them_side_by_side() -> None:
    console = Console(file=StringIO(), width=100)
    PREDICTIONS.show(1, console=console)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert all(word in shown for word in ("row", "source", "target", "output"))
    assert all(word in shown for word in ("3", "plain", "nialp", "plainplain"))
    assert "quotes" not in shown


def test_markup_of_the_console_is_shown_as_it_is() -> None:
    console = Console(file=StringIO(), width=100)
    Predictions([Prediction(1, "[red]a[/]", "[b]", "[/]")], Accuracy()).show(console=console)
    assert isinstance(console.file, StringIO)
    assert all(text in console.file.getvalue() for text in ("[red]a[/]", "[b]", "[/]"))


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.csv.gz"])
def test_written_rows_are_read_back_unchanged(tmp_path: Path, name: str) -> None:
    PREDICTIONS.write(tmp_path / name)
    columns = ["source", "target", "output"]
    rows = list(read_rows(tmp_path / name, columns=columns, keys=["row"]))
    assert [
        Prediction(int(row.values["row"]), *(row.values[column] for column in columns))
        for row in rows
    ] == list(PREDICTIONS)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with pytest.raises(TableError) as caught:
        PREDICTIONS.write(path)
    assert str(caught.value).startswith(
        f"{path}: the suffix '.txt' stands for no known format. Use a name that ends in one of .csv"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(OutputError) as caught:
        PREDICTIONS.write(path)
    assert str(caught.value) == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert path.read_text() == "mine"
    PREDICTIONS.write(path, overwrite=True)
    assert path.read_text(encoding="utf-8") != "mine"
