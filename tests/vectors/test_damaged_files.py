"""Error messages for damaged vector files and for files in other formats."""

from __future__ import annotations

import gzip
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import VectorsError
from annoseq.vectors.lookup import open_vectors
from tests.vectors.crafted import MAGIC, craft

if TYPE_CHECKING:
    from pathlib import Path

GOOD = craft(["Ames", "of"], buckets=3, width=2)
DICTIONARY = 92
"""Offset of the dictionary in a `.bin`, in bytes."""
MATRIX = DICTIONARY + len(b"Ames\0of\0") + 2 * 9
AGAIN = "Copy or download it again."


def patched(place: int, layout: str, *values: object) -> bytes:
    """Return the good file with other values at a place."""
    new = struct.pack(layout, *values)
    return GOOD[:place] + new + GOOD[place + len(new) :]


FILES: dict[str, tuple[str, bytes, str]] = {
    "an empty .bin": ("v.bin", b"", f"the file is empty. {AGAIN}"),
    "an empty .vec": ("v.vec", b"", f"the file is empty. {AGAIN}"),
    "another magic": (
        "v.bin",
        b"\x01\x02\x03\x04" + GOOD[4:],
        "this is not a .bin of fastText: it begins with the bytes 01 02 03 04, where ba 16 4f 2f "
        "was expected. Copy or download it again, or use another file.",
    ),
    "text where binary is expected": (
        "v.bin",
        b"2 3\nAmes 1 2 3\nof 1 2 3\n",
        "this is not a .bin of fastText: it begins as text does, where ba 16 4f 2f was expected. "
        "Vectors as text are named .vec; word2vec's own binary cannot be read.",
    ),
    "binary where text is expected": (
        "v.vec",
        GOOD,
        "this is a .bin of fastText, where the name promises text. "
        "Name it .bin, or use the .vec file.",
    ),
    "a newer version": (
        "v.bin",
        patched(4, "<i", 13),
        "found version 13 of fastText's format, where 12 is the newest known. "
        "Save it with an older fastText.",
    ),
    "a quantised .ftz": (
        "v.ftz",
        GOOD,
        "this is a quantised fastText model (.ftz), which keeps no whole vectors. "
        "Use the .bin that it was made from.",
    ),
    "a quantised .bin": (
        "v.bin",
        patched(MATRIX, "<?", True),
        "this is a quantised fastText model (.ftz), which keeps no whole vectors. "
        "Use the .bin that it was made from.",
    ),
    "a pruned .bin": (
        "v.bin",
        patched(DICTIONARY - 8, "<q", 1),
        "this is a quantised fastText model (.ftz), which keeps no whole vectors. "
        "Use the .bin that it was made from.",
    ),
    "a cut header": ("v.bin", GOOD[:50], f"the file is cut off in its header. {AGAIN}"),
    "a cut dictionary": ("v.bin", GOOD[:100], f"the file is cut off in its dictionary. {AGAIN}"),
    "a dictionary of which little is left": (
        "v.bin",
        craft([f"w{number}" for number in range(50)], buckets=3, width=2)[:150],
        f"the file is cut off in its dictionary. {AGAIN}",
    ),
    "a cut matrix": (
        "v.bin",
        GOOD[: MATRIX + 30],
        f"the file is cut off in its matrix of vectors. {AGAIN}",
    ),
    "a cut output matrix": (
        "v.bin",
        GOOD[:-1],
        f"the file is cut off in its output matrix. {AGAIN}",
    ),
    "sizes that contradict one another": (
        "v.bin",
        patched(DICTIONARY - 28, "<i", 7),
        f"the file is damaged: the sizes in its header contradict one another. {AGAIN}",
    ),
    "another matrix": (
        "v.bin",
        patched(MATRIX + 1, "<2q", 5, 3),
        "the file is damaged: its matrix has 5 rows of 3 values, where 5 of 2 were expected. "
        + AGAIN,
    ),
    "an entry of no kind": (
        "v.bin",
        patched(DICTIONARY + 13, "<b", 9),
        f"the file is damaged: entry 1 of its dictionary is not a word or label. {AGAIN}",
    ),
    "a value that is no number": (
        "v.bin",
        patched(MATRIX + 17, "<f", float("nan")),
        f"the file is damaged: row 1 of its matrix holds no number or one above 1e+09. {AGAIN}",
    ),
    "a zip archive": (
        "v.bin.zip",
        b"PK\x03\x04rest",
        "this is a zip archive. Unpack it, and give the file in it.",
    ),
    "a compressed .bin": (
        "v.bin.gz",
        gzip.compress(GOOD),
        "this is a compressed .bin of fastText, whose rows cannot be read at their places. "
        "Unpack it with gunzip, and give the .bin.",
    ),
    "a cut .vec.gz": (
        "v.vec.gz",
        gzip.compress(b"2 3\nAmes 1 2 3\nof 1 2 3\n")[:-5],
        f"the gzip compression is damaged or cut off. {AGAIN}",
    ),
    "a damaged .vec.gz": (
        "v.vec.gz",
        gzip.compress(b"2 3\nAmes 1 2 3\nof 1 2 3\n")[:-8] + bytes(8),
        f"the gzip compression is damaged or cut off. {AGAIN}",
    ),
    "a .vec without its first line": (
        "v.vec",
        b"Ames 1 2 3\n",
        "its first line does not hold two numbers, how many words there are and the width of "
        "their vectors. Use a .vec file of fastText, or add that line.",
    ),
    "a table": (
        "pairs.csv",
        b"orig_text,annotated_text\na,b\n",
        "its first line does not hold two numbers, how many words there are and the width of "
        "their vectors. Use a .vec file of fastText, or add that line.",
    ),
    "a short row": (
        "v.vec",
        b"2 3\nof 1 2 3\nAmes 1 2\n",
        "line 3: found 2 values, where a word and 3 numbers were expected. "
        "Copy or download it again, or leave that line out.",
    ),
    "a long row of a word that is not asked for": (
        "v.vec",
        b"2 3\nxy 1 2 3 4\nAmes 1 2 3\n",
        "line 2: found 4 values, where a word and 3 numbers were expected. "
        "Copy or download it again, or leave that line out.",
    ),
    "a row of words": (
        "v.vec",
        b"1 3\nAmes 1 2 x\n",
        "line 2: found something that is not a number, where a word and 3 numbers were expected. "
        "Copy or download it again, or leave that line out.",
    ),
    "NaN as text": (
        "v.vec",
        b"1 3\nAmes 1 2 nan\n",
        "line 2: found no number or one above 1e+09, where a word and 3 numbers were expected. "
        "Copy or download it again, or leave that line out.",
    ),
    "a number too large": (
        "v.vec",
        b"1 3\nAmes 1 2 1e99\n",
        "line 2: found no number or one above 1e+09, where a word and 3 numbers were expected. "
        "Copy or download it again, or leave that line out.",
    ),
    "a row too few": (
        "v.vec",
        b"2 3\nAmes 1 2 3\n",
        f"the file is cut off after row 1 of 2. {AGAIN}",
    ),
    "a cut last row": (
        "v.vec",
        b"2 3\nAmes 1 2 3\nof 1 2 3",
        f"the file is cut off in row 2 of 2. {AGAIN}",
    ),
    "a row too many": (
        "v.vec",
        b"1 3\nAmes 1 2 3\nof 1 2 3\n",
        "found more rows than the 1 that its first line tells. "
        "Mend its first line, or copy or download it again.",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_is_explained(kind: str, tmp_path: Path) -> None:
    name, content, message = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VectorsError) as error:
        open_vectors(path).look_up(["Ames", "other"])
    assert str(error.value) == f"{path}: {message}"


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(VectorsError) as error:
        open_vectors(tmp_path / "v.bin")
    assert str(error.value) == (
        f"{tmp_path / 'v.bin'}: there is no such file. "
        "Give a .bin, .vec or .vec.gz file of word vectors."
    )


def test_a_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(VectorsError) as error:
        open_vectors(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: this is a folder without model.safetensors and tokenizer.json, as "
        "pre-trained encoders and static embeddings have them. Give such a folder, or the file of "
        "word vectors (.bin, .vec, .vec.gz) in it."
    )


def test_a_pipe_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    os.mkfifo(path)
    with pytest.raises(VectorsError, match="not a regular file, and vectors are read at their"):
        open_vectors(path)


def test_a_file_below_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("")
    with pytest.raises(VectorsError, match=r"v\.bin: cannot be read: Not a directory\. Name a"):
        open_vectors(tmp_path / "v" / "v.bin")


def test_truncation_is_detected_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    for size in range(len(GOOD)):
        path.write_bytes(GOOD[:size])
        with pytest.raises(VectorsError):
            open_vectors(path).look_up(["Ames"])


@pytest.mark.parametrize("value", [0x00, 0x7F, 0xFF])
def test_damage_anywhere_is_explained_or_does_no_harm(value: int, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    for place in range(len(GOOD)):
        path.write_bytes(GOOD[:place] + bytes([value]) + GOOD[place + 1 :])
        with suppress(VectorsError):
            open_vectors(path).look_up(["Ames", "unseen"])


def test_a_word_without_an_end_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(GOOD[:DICTIONARY] + b"x" * (1 << 21))
    with pytest.raises(VectorsError, match="damaged: entry 1 of its dictionary has no end"):
        open_vectors(path).look_up(["Ames"])


def test_the_magic_number_is_fasttexts() -> None:
    assert GOOD[:4] == MAGIC == b"\xba\x16\x4f\x2f"
