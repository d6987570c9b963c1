"""Opening a file of word vectors, whichever of the formats it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import VectorsError
from annoseq.text.vectors.fasttext_file import FastTextFile
from annoseq.text.vectors.fasttext_header import MAGIC, not_fasttext, quantised
from annoseq.text.vectors.positioned import PositionedFile
from annoseq.text.vectors.vec_file import GZIP_MAGIC, VecFile, unpacked

if TYPE_CHECKING:
    from annoseq.text.vectors.rows import Vectors

_ZIP_MAGIC = b"PK\x03\x04"
_BEGINNING = 64


def open_vectors(path: str | Path) -> Vectors:
    """Open fastText's `.bin`, `.vec` or `.vec.gz`; no rows are read yet.

    The first bytes decide which of them it is, and a name that says otherwise is an error.

    Raises:
        VectorsError: the file cannot be read, is none of these, or is cut off in its header.
    """
    path = Path(path)
    with PositionedFile(path) as file:
        beginning = file.read_some(0, _BEGINNING)
    suffix = path.suffix.lower()
    if beginning.startswith(_ZIP_MAGIC):
        raise VectorsError(f"{path}: this is a zip archive. Unpack it, and give the file in it.")
    if beginning.startswith(GZIP_MAGIC):
        _refuse_packed_binary(path)
        return VecFile.open(path)
    if suffix == ".ftz":
        raise quantised(path)
    if beginning.startswith(MAGIC):
        if suffix == ".vec":
            raise VectorsError(
                f"{path}: this is a .bin of fastText, where the name promises text. "
                "Name it .bin, or use the .vec file."
            )
        return FastTextFile.open(path)
    if suffix == ".bin":
        raise not_fasttext(path, beginning)
    return VecFile.open(path)


def _refuse_packed_binary(path: Path) -> None:
    with unpacked(path) as stream:
        beginning = stream.read(len(MAGIC))
    if beginning == MAGIC:
        raise VectorsError(
            f"{path}: this is a compressed .bin of fastText, whose rows cannot be read at their "
            "places. Unpack it with gunzip, and give the .bin."
        )
