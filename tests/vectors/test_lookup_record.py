"""A file of vectors is found again, and another one is not taken for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annoseq.errors import VectorsError
from annoseq.vectors.lookup import VectorsRecord, open_token_vectors, record_of
from annoseq.vectors.word_vectors import fingerprint

MODEL = Path("model")


@pytest.fixture
def record(vectors: Path) -> VectorsRecord:
    found = record_of(open_token_vectors(vectors))
    assert found is not None
    return found


def fault(record: VectorsRecord, given: Path | None = None) -> str:
    with pytest.raises(VectorsError) as caught:
        record.open(given, model=MODEL)
    return str(caught.value)


def test_a_record_tells_the_file(
    record: VectorsRecord, vectors: Path, text_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (record.name, record.format, record.width) == ("v.bin", "bin", 3)
    assert record.fingerprint == fingerprint(vectors)
    monkeypatch.chdir(text_vectors.parent)
    other = record_of(open_token_vectors("v.vec"))
    assert other is not None
    assert (other.format, other.path) == ("vec", str(text_vectors))
    assert record_of(None) is None
    assert VectorsRecord.model_validate_json(record.model_dump_json()) == record


def test_the_file_is_opened_where_it_was_or_where_it_is_said_to_be(
    record: VectorsRecord, vectors: Path, tmp_path: Path
) -> None:
    assert record.open(None, model=MODEL).file.path == vectors
    elsewhere = tmp_path / "elsewhere.bin"
    vectors.rename(elsewhere)
    os.utime(elsewhere, ns=(5, 5))  # as copying may do
    assert fault(record) == (
        f"model: its word vectors, v.bin, cannot be read at {vectors}, where they were in "
        "training. Name the file with --vectors."
    )
    found = record.open(elsewhere, model=MODEL)
    assert record_of(found) == record.model_copy(update={"path": str(elsewhere)})
    assert record.open(str(elsewhere), model=MODEL).checksum() == record.fingerprint


def test_another_file_is_refused(record: VectorsRecord, vectors: Path, text_vectors: Path) -> None:
    message = (
        "{}: these are not the word vectors that model was trained with, v.bin of 3 values. "
        "Name that file with --vectors."
    )
    assert fault(record, text_vectors) == message.format(text_vectors)
    content = bytearray(vectors.read_bytes())
    content[130] ^= 1
    vectors.write_bytes(content)
    assert fault(record) == message.format(vectors)


def test_a_path_that_is_given_must_be_there(record: VectorsRecord, tmp_path: Path) -> None:
    assert fault(record, tmp_path / "none.bin") == (
        f"{tmp_path / 'none.bin'}: there is no such file. Give a .bin, .vec or .vec.gz file of "
        "word vectors."
    )


def test_a_fingerprint_sees_size_ends_and_samples(tmp_path: Path) -> None:
    path = tmp_path / "v"
    content = bytes(1 << 20)
    found = set()
    for place in (None, 0, 1 << 15, 1 << 19, (1 << 20) - 1):
        changed = bytearray(content)
        if place is not None:
            changed[place] = 1
        path.write_bytes(changed)
        found.add(fingerprint(path))
    path.write_bytes(content + b"\0")
    found.add(fingerprint(path))
    assert len(found) == 6
