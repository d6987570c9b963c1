from __future__ import annotations

import io
import json
import os
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet
from rich.console import Console

from annoseq._version import __version__
from annoseq.config import BatchConfig, DataConfig
from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import DatasetError, OptionError, OutputError, PairsError
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.prepared_examples import read_examples, write_examples
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from tests.faults import file_size_limit
from tests.tokenization.tables import BROKEN, EVERYTHING, LETTERS, pairs_of, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import Task

MANY = Pairs(
    [
        Pair(
            f"Dr. Ames {n}{'!' * n}",
            f"Dr. {{{{NAME}}}}Ames{{{{/NAME}}}} {n}{'!' * n}",
            n,
            f"d{n // 4}",
            n,
        )
        for n in range(1, 21)
    ],
    name="many.csv",
)
FILES = [
    "config.json",
    "labels.json",
    "source.json",
    "target.json",
    "train.parquet",
    "valid.parquet",
]


def rows(pairs: Any) -> list[int]:
    return [pair.row for pair in pairs]


def test_rows_are_split_by_the_seed() -> None:
    config = DataConfig(split_by="row", valid_share=0.25)
    one, again = (Dataset.from_pairs(MANY, config=config) for _ in range(2))
    other = Dataset.from_pairs(MANY, config=config.model_copy(update={"split_seed": 7}))
    assert one.train == again.train
    assert one.encoded_train == again.encoded_train
    assert rows(one.valid) == rows(again.valid) != rows(other.valid)
    assert (len(one.train), len(one.valid)) == (15, 5)
    assert sorted(rows(one.train) + rows(one.valid)) == rows(MANY)
    assert one.fingerprint == other.fingerprint == MANY.fingerprint()


def test_documents_stay_whole() -> None:
    dataset = Dataset.from_pairs(MANY)
    train, valid = (
        {example.document for example in part} for part in (dataset.train, dataset.valid)
    )
    assert train & valid == set()
    assert train | valid == {pair.document for pair in MANY}


def test_a_validation_table_stands_in_for_the_split() -> None:
    dataset = Dataset.from_pairs(MANY, valid=LETTERS, config=EVERYTHING)
    assert rows(dataset.train) == rows(MANY)
    assert dataset.valid == parsed(LETTERS)
    assert dataset.tokenizer.labels == ("NAME",)  # from the training rows alone
    assert " Ames" in dataset.tokenizer.source.ids
    assert "Seen" not in dataset.tokenizer.source.ids


def test_the_task_is_inferred_or_given() -> None:
    assert Dataset.from_pairs(MANY).tokenizer.task == "annotate"
    assert Dataset.from_pairs(pairs_of(("a", "b"), ("c", "d"))).tokenizer.task == "translate"
    given = Dataset.from_pairs(MANY, config=DataConfig(task="translate"))
    assert given.tokenizer.task == "translate"
    assert given.tokenizer.labels == ()


def never(*_: object, **__: object) -> Seq2SeqTokenizer:
    raise AssertionError("no vocabulary is to be built")


def test_vocabularies_are_built_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.from_pairs(MANY, valid=LETTERS)
    sent = pickle.loads(pickle.dumps(dataset))  # as to the workers of a sweep
    with monkeypatch.context() as patch:
        patch.setattr(Seq2SeqTokenizer, "fit", never)
        again = Dataset.from_pairs(MANY, valid=LETTERS)
        assert again == dataset
        assert (again.task, len(again.train), len(again.valid)) == ("annotate", 20, len(LETTERS))
    assert dataset.tokenizer is dataset.tokenizer
    assert sent.tokenizer.signature() == dataset.tokenizer.signature()
    assert sent.encoded_train == dataset.encoded_train


def test_a_trained_models_codec_is_used_as_it_is() -> None:
    tokenizer = Dataset.from_pairs(LETTERS, valid=LETTERS, config=EVERYTHING).tokenizer
    dataset = Dataset.from_pairs(MANY, tokenizer=tokenizer, config=DataConfig(task="translate"))
    assert dataset.tokenizer is tokenizer
    assert dataset.tokenizer.task == "annotate"  # the model's, whatever was asked
    assert dataset.train[0].reference == dataset.train[0].target


def test_bad_rows_are_named_or_left_out_and_counted() -> None:
    pairs = pairs_of(BROKEN, *[(pair.source, pair.target) for pair in LETTERS], ("a", "b"))
    config = DataConfig(task="annotate")
    with pytest.raises(PairsError, match=r"2 of 7 rows cannot be used:\n  row 1"):
        Dataset.from_pairs(pairs, config=config)
    dataset = Dataset.from_pairs(pairs, config=config, skip_bad=True)
    assert dataset.skipped == (1, 7)
    assert sorted(rows(dataset.train) + rows(dataset.valid)) == [2, 3, 4, 5, 6]
    assert dataset.fingerprint == pairs.fingerprint()  # of the table, not of what was left


def test_bad_rows_of_a_validation_table_are_counted_too() -> None:
    valid = pairs_of(("a", "a"), BROKEN, name="valid.csv")
    dataset = Dataset.from_pairs(MANY, valid=valid, skip_bad=True)
    assert rows(dataset.valid) == [1]
    assert dataset.skipped == (2,)


def test_tables_of_bad_rows_alone_are_refused() -> None:
    bad = pairs_of(BROKEN, BROKEN, name="bad.csv")
    config = DataConfig(task="annotate")
    for pairs, valid in ((bad, MANY), (MANY, bad), (bad, None)):
        with pytest.raises(PairsError) as caught:
            Dataset.from_pairs(pairs, valid=valid, config=config, skip_bad=True)
        assert str(caught.value) == (
            "bad.csv: none of its 2 rows can be used. `annoseq check` shows why."
        )


def test_translating_has_no_bad_rows() -> None:
    pairs = pairs_of(BROKEN, BROKEN)
    dataset = Dataset.from_pairs(pairs, config=DataConfig(task="translate"), skip_bad=True)
    assert dataset.skipped == ()
    assert len(dataset.train) + len(dataset.valid) == 2


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(PairsError, match="a split needs at least 2 rows, and the pairs have 1"):
        Dataset.from_pairs(MANY[:1])


def test_one_batch_has_the_longest_row_and_the_limits() -> None:
    dataset = Dataset.from_pairs(MANY, valid=LETTERS, config=EVERYTHING)
    batch = dataset.one_batch(batching=BatchConfig(batch_size=4))
    assert batch.rows[0] == 19
    assert batch.source.shape == (4, 3 + 2 + 20 + 1)  # Dr . Ames, two digits, marks, end
    assert len(dataset.one_batch().rows) == 20


@pytest.mark.parametrize("asked", [1, 3, 6, 8, 9, 11, 13, 20, 99])
def test_show_batch_shows_as_many_rows_as_asked(asked: int) -> None:
    file = io.StringIO()
    dataset = Dataset.from_pairs(MANY, valid=LETTERS, config=EVERYTHING)
    dataset.show_batch(asked, model="gru", console=Console(file=file, width=200))
    numbers = re.findall(r"^│ +(\d+) │", file.getvalue(), flags=re.MULTILINE)
    assert len(set(numbers)) == len(numbers) == min(asked, 20)
    assert "{{NAME}} ·Ames {{/NAME}}" in file.getvalue()


def test_show_batch_shows_the_tags_of_a_tagger_by_default() -> None:
    file = io.StringIO()
    dataset = Dataset.from_pairs(MANY, valid=LETTERS)
    dataset.show_batch(3, console=Console(file=file, width=200))
    assert "·Ames/S-NAME" in file.getvalue()
    assert "<unk:" not in file.getvalue()


@pytest.mark.parametrize("asked", [0, -1])
def test_show_batch_shows_at_least_one_row(asked: int) -> None:
    with pytest.raises(OptionError) as caught:
        Dataset.from_pairs(MANY).show_batch(asked)
    assert str(caught.value) == f"asked for {asked} rows. Ask for 1 or more."


# --- saved and loaded ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs = pairs_of(BROKEN, *[(pair.source, pair.target) for pair in MANY])
    config = DataConfig(task="annotate", min_frequency=1, valid_share=0.3)
    Dataset.from_pairs(pairs, config=config, skip_bad=True).save(tmp_path / "data")
    return tmp_path / "data"


def test_what_is_saved_is_what_is_loaded(folder: Path) -> None:
    dataset = Dataset.load(folder)
    dataset.save(folder.with_name("again"))
    again = Dataset.load(str(folder.with_name("again")))
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert (again.train, again.valid) == (dataset.train, dataset.valid)
    assert again.encoded_valid == dataset.encoded_valid
    assert (again.config, again.fingerprint) == (dataset.config, dataset.fingerprint)
    assert again.skipped == dataset.skipped == (1,)
    assert again.tokenizer.signature() == dataset.tokenizer.signature()
    assert again.tokenizer.length_stats == dataset.tokenizer.length_stats
    assert (len(again.train), len(again.valid), again.config.valid_share) == (14, 6, 0.3)
    for name in FILES:
        assert (folder / name).read_bytes() == (folder.with_name("again") / name).read_bytes()


def test_an_existing_folder_is_refused_unless_it_may_be_replaced(folder: Path) -> None:
    (folder / "mine").touch()
    dataset = Dataset.load(folder)
    with pytest.raises(OutputError) as caught:
        dataset.save(folder)
    assert str(caught.value) == (
        f"{folder} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert (folder / "mine").exists()
    dataset.save(folder, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == FILES


@pytest.mark.parametrize("size", [10, 600, 2500])  # within config.json, a vocabulary, the rows
def test_a_full_disk_leaves_what_was_there(folder: Path, size: int) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    dataset = Dataset.load(folder)
    for target in (folder, folder.with_name("new")):
        with (
            pytest.raises(OutputError, match=r"cannot be written: .*File too large") as caught,
            file_size_limit(size),
        ):
            dataset.save(target, overwrite=True)
        assert str(caught.value).startswith(f"{target} cannot be written: ")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_file_in_the_place_of_a_folder_is_named(folder: Path) -> None:
    target = folder / "config.json" / "data"
    with pytest.raises(OutputError) as caught:
        Dataset.load(folder).save(target)
    assert str(caught.value) == (
        f"{target} cannot be written: Not a directory. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )


AGAIN = " Prepare the data again with `annoseq prepare`."


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == f"{folder}: {name}: No such file or directory.{AGAIN}"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_a_file_that_is_not_regular_is_not_read(folder: Path, name: str, kind: str) -> None:
    other = (folder / name).rename(folder.parent / name)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero" if kind == "device" else other)
    problem = "a link to a file outside the folder" if kind == "link" else "not a regular file"
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == f"{folder}: {name} is {problem}.{AGAIN}"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        Dataset.load(tmp_path / "data")
    assert str(caught.value) == (
        f"{tmp_path / 'data'}: config.json: No such file or directory.{AGAIN}"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("labels.json", "labels.json: Expecting value: line 1 column 1 (char 0)"),
        ("source.json", "source.json: not a tokenizer file: expected value at line 1 column 1"),
        ("target.json", "target.json: not a tokenizer file: expected value at line 1 column 1"),
        ("train.parquet", "train.parquet is not a part of a prepared dataset"),
        ("valid.parquet", "valid.parquet is not a part of a prepared dataset"),
        (
            "config.json",
            "config.json is damaged or of another version (the whole file: Invalid JSON: expected "
            f"value at line 1 column 1; this is annoseq {__version__})",
        ),
    ],
)
def test_a_damaged_file_is_named(folder: Path, name: str, reason: str) -> None:
    (folder / name).write_text("damaged", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == f"{folder}: {reason}.{AGAIN}"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 3}, "format: Input should be 2"),
        ({"later": True}, "later: Extra inputs are not permitted"),
        ({"task": "sing"}, "task: Input should be 'annotate' or 'translate'"),
        ({"fingerprint": 5}, "fingerprint: Input should be a valid string"),
        ({"skipped": ["1"]}, "skipped.0: Input should be a valid integer"),
        ({"data": {"valid_share": "0.2"}}, "data.valid_share: Input should be a valid number"),
    ],
)
def test_a_configuration_of_another_version_is_refused(
    folder: Path, change: dict[str, Any], fault: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == (
        f"{folder}: config.json is damaged or of another version ({fault}; "
        f"this is annoseq {__version__}).{AGAIN}"
    )


def test_prepared_data_of_an_older_version_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    older = json.loads(path.read_text()) | {"format": 1, "bounds": {}}
    path.write_text(json.dumps(older), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == (
        f"{folder}: written by an older version of annoseq (format 1; annoseq {__version__} "
        f"reads format 2).{AGAIN}"
    )


def test_labels_of_another_dataset_are_refused(folder: Path) -> None:
    (folder / "labels.json").write_text('["DATE"]', encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        Dataset.load(folder)
    assert str(caught.value) == f"{folder}: labels.json does not fit target.json.{AGAIN}"


# --- one part of it, as Parquet ---

EXAMPLES = parsed(LETTERS)
TOKENIZER = Seq2SeqTokenizer.fit(EXAMPLES, task="annotate", config=EVERYTHING)
PLACED = [
    Pair("Dr. Ames\n", "Dr. {{NAME}}Ames{{/NAME}}\n", 3, "d", 0),
    Pair("", "", 7, "e", 10**15),
    Pair("A\x00me\U0001f600s", "A\x00{{NAME}}me{{/NAME}}\U0001f600s", 8),
]


@pytest.mark.parametrize("task", ["annotate", "translate"])
@pytest.mark.parametrize("pairs", [list(LETTERS), PLACED, []])
def test_what_is_written_is_what_is_read(pairs: list[Pair], task: Task, tmp_path: Path) -> None:
    examples = parsed(pairs, task)
    encoded = TOKENIZER.encode_examples(examples)
    write_examples(tmp_path / "train.parquet", examples, encoded)
    assert read_examples(tmp_path / "train.parquet") == (examples, encoded)


def damaged(path: Path) -> pytest.RaisesExc[ValueError]:
    return pytest.raises(
        ValueError, match=f"^{re.escape(path.name)} is not a part of a prepared dataset$"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    write_examples(path, EXAMPLES, TOKENIZER.encode_examples(EXAMPLES))
    return path


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1" + b"\0" * 60 + b"PAR1"])
def test_a_file_that_is_not_parquet_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with damaged(path):
        read_examples(path)


def test_half_a_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with damaged(path):
        read_examples(path)


@pytest.mark.parametrize("place", [30, 200, 500, 900, 1300])
def test_a_few_wrong_bytes_are_noticed(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    for at in range(place, place + 4):
        content[at] ^= 0xFF
    path.write_bytes(content)
    with damaged(path):
        read_examples(path)


@pytest.mark.parametrize("column", ["row", "source", "span_starts", "target_ids"])
def test_a_table_without_one_of_the_columns_is_refused(path: Path, column: str) -> None:
    parquet.write_table(parquet.read_table(path).drop_columns([column]), path)
    with damaged(path):
        read_examples(path)


def test_a_table_without_the_count_of_misaligned_spans_is_refused(path: Path) -> None:
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)
    with damaged(path):
        read_examples(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        read_examples(tmp_path / "train.parquet")
    assert caught.value.filename == str(tmp_path / "train.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        read_examples(tmp_path / "folder.parquet")
    assert refused.value.filename == str(tmp_path / "folder.parquet")
