"""What a model folder says of the vectors that its network reads words by.

The file itself stays where it is: it may have 7 GB, and where it was trained on the texts it lists
their words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from annoseq.errors import VectorsError

if TYPE_CHECKING:
    from annoseq.text.vectors.tokens import TokenVectors


class VectorsRecord(BaseModel):
    """Which file it was in training, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    format: Literal["bin", "vec"]
    width: int
    fingerprint: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return Path(self.path).name

    def open(self, given: str | Path | None, *, model: Path) -> TokenVectors:
        """Open the file at the path `given`, or else where it was in training.

        Raises:
            VectorsError: it cannot be read there, or is another file than that of training.
        """
        # Most models have no file, and need not wait for what reads one.
        from annoseq.text.vectors.fingerprint import fingerprint
        from annoseq.text.vectors.tokens import open_token_vectors

        path = Path(self.path if given is None else given)
        try:
            is_same = fingerprint(path) == self.fingerprint
        except VectorsError as error:
            if given is not None:
                raise
            raise VectorsError(
                f"{model}: its word vectors, {self.name}, cannot be read at {path}, where they "
                "were in training. Name the file with --vectors."
            ) from error
        if not is_same:
            raise VectorsError(
                f"{path}: these are not the word vectors that {model} was trained with, "
                f"{self.name} of {self.width} values. Name that file with --vectors."
            )
        return open_token_vectors(path)
