"""Two folders side by side, `orig` and `annotated`, with a file of the same name for each text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.errors import FormatError, MarkupError, MismatchError
from annoseq.formats.document import Document, from_span
from annoseq.formats.inline import annotated_texts
from annoseq.formats.texts import file_for, files_of, read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.losses import Losses
    from annoseq.formats.markups import Write
    from annoseq.pairs.markup import Span

ORIGINAL, ANNOTATED = "orig", "annotated"

_SUFFIX = ".txt"


def read(folder: Path, *, align: Callable[[str, str], list[Span]]) -> Iterator[Document]:
    """Read the texts of `folder/orig` with the tags of `folder/annotated`.

    `align` finds the spans of an original text that its annotated text marks.

    Raises:
        FormatError: a file is there without the other, or is not the other plus tags.
    """
    for name in (ORIGINAL, ANNOTATED):
        if not (folder / name).is_dir():
            raise FormatError(
                f"{folder}: there is no folder {name!r} in it. Name a folder that holds "
                f"{ORIGINAL!r} and {ANNOTATED!r}."
            )
    originals = files_of(folder / ORIGINAL, _SUFFIX)
    annotated = files_of(folder / ANNOTATED, _SUFFIX)
    for name in sorted(originals.keys() ^ annotated.keys()):
        path = (originals | annotated)[name]
        other = ANNOTATED if name in originals else ORIGINAL
        raise FormatError(f"{path}: there is no such file in {other!r}. Add it, or remove this.")
    for name, path in originals.items():
        text = read_text(path, keep_mark=True)
        try:
            spans = align(text, read_text(annotated[name], keep_mark=True))
        except (MarkupError, MismatchError) as error:
            raise FormatError(f"{annotated[name]}: {error}") from error
        yield Document(name, text, tuple(map(from_span, spans)))


def write(
    documents: Iterable[Document], folder: Path, *, write_tags: Write, losses: Losses
) -> None:
    """Write two files for each document, in two folders within `folder`."""
    texts = annotated_texts(documents, write_tags=write_tags, losses=losses)
    for document, written in texts:
        write_text(file_for(folder / ORIGINAL, document.id, _SUFFIX), document.text)
        write_text(file_for(folder / ANNOTATED, document.id, _SUFFIX), written)
