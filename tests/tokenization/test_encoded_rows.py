from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from annoseq.data.pairs import Pair
from annoseq.errors import PairsError
from annoseq.tokenization.encoded_rows import Part
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from tests.tokenization.tables import BROKEN, EVERYTHING, LETTERS, pairs_of

if TYPE_CHECKING:
    from pathlib import Path

CODEC = Seq2SeqTokenizer.fit(LETTERS, task="annotate", config=EVERYTHING)
PLACED = [
    Pair("Dr. Ames\n", "Dr. {{NAME}}Ames{{/NAME}}\n", 3, "d", 0),
    Pair("", "", 7, "e", 10**15),
    Pair("A\x00me\U0001f600s", "A\x00{{NAME}}me{{/NAME}}\U0001f600s", 8),
]


def test_a_part_keeps_the_order_of_its_pairs() -> None:
    part = Part.encode(LETTERS, CODEC)
    assert len(part) == len(LETTERS) == 5
    assert list(part.pairs) == list(LETTERS)
    assert [CODEC.decode(example.target) for example in part.examples] == list(part.references)
    assert part.misaligned == 0


def test_misfits_are_counted_over_all_rows() -> None:
    cut = ("Ames", "{{NAME}}Am{{/NAME}}es")
    assert Part.encode(pairs_of(cut, ("Ames", "Ames"), cut), CODEC).misaligned == 2


def test_a_reference_that_is_the_target_is_kept_once() -> None:
    padded = ("Dr. Ames:", "Dr. {{NAME}} Ames {{/NAME}} :")
    part = Part.encode([*LETTERS, *pairs_of(padded)], CODEC)
    assert part.references[0] is LETTERS[0].target
    assert part.references[-1] == "Dr. {{NAME}}Ames{{/NAME}}:"


def test_a_row_that_cannot_be_used_is_named() -> None:
    with pytest.raises(PairsError, match=r"1 of 2 rows cannot be used:\n  row 2: \{\{NAME\}\} is"):
        Part.encode(pairs_of(("a", "a"), BROKEN), CODEC)


@pytest.mark.parametrize("pairs", [list(LETTERS), PLACED, []])
def test_what_is_written_is_what_is_read(pairs: list[Pair], tmp_path: Path) -> None:
    part = Part.encode(pairs, CODEC)
    part.write(tmp_path / "train.parquet")
    assert Part.read(tmp_path / "train.parquet") == part


def damaged(path: Path) -> pytest.RaisesExc[ValueError]:
    return pytest.raises(
        ValueError, match=f"^{re.escape(path.name)} is not a part of a prepared dataset$"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    Part.encode(LETTERS, CODEC).write(path)
    return path


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1" + b"\0" * 60 + b"PAR1"])
def test_a_file_that_is_not_parquet_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with damaged(path):
        Part.read(path)


def test_half_a_file_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with damaged(path):
        Part.read(path)


@pytest.mark.parametrize("place", [30, 200, 500, 900, 1300])
def test_a_few_wrong_bytes_are_noticed(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    for at in range(place, place + 4):
        content[at] ^= 0xFF
    path.write_bytes(content)
    with damaged(path):
        Part.read(path)


@pytest.mark.parametrize("column", ["row", "source", "reference", "target_ids"])
def test_a_table_without_one_of_the_columns_is_refused(path: Path, column: str) -> None:
    parquet.write_table(parquet.read_table(path).drop_columns([column]), path)
    with damaged(path):
        Part.read(path)


def test_a_table_without_the_count_of_misfits_is_refused(path: Path) -> None:
    parquet.write_table(parquet.read_table(path).replace_schema_metadata(None), path)
    with damaged(path):
        Part.read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Part.read(tmp_path / "train.parquet")
    assert caught.value.filename == str(tmp_path / "train.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        Part.read(tmp_path / "folder.parquet")
    assert refused.value.filename == str(tmp_path / "folder.parquet")
