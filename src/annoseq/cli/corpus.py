"""Documents written in another program's format, and what is said of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.cli.console import note
from annoseq.cli.targets import keep_apart
from annoseq.errors import OptionError
from annoseq.formats.annotations import read_output
from annoseq.formats.conversion import export_corpus, rehearse_export
from annoseq.formats.losses import Losses
from annoseq.formats.names import FOLDERS, WITH_SCORES
from annoseq.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from annoseq.config import SearchConfig
    from annoseq.formats.document import Document
    from annoseq.formats.names import CorpusFormat


def write(
    format_: CorpusFormat,
    documents: Iterable[Document],
    target: Path,
    *,
    markup: str | None = None,
    losses: Losses,
    notes: Losses,
    overwrite: bool,
) -> None:
    """Write documents, show how far that is, and say what was lost."""
    with progress("exporting", total=None) as advance:
        export_corpus(
            format_,
            documents,
            target,
            markup=markup,
            losses=losses,
            overwrite=overwrite,
            advance=advance,
        )
    for line in [*notes.lines(), *losses.lines()]:
        note(line)


def converter(
    format_: CorpusFormat,
    out: Path | None,
    texts: Path,
    *,
    lossy: bool,
    search: SearchConfig,
    overwrite: bool,
) -> Callable[[Path], None]:
    """Return what writes the complete annotations in another program's format.

    Raises:
        OptionError: there is no place to write to, or the format surely cannot hold all.
        OutputError: the place cannot be written to.
    """
    if out is None:
        what = "a folder" if format_ in FOLDERS else "a file"
        raise OptionError(f"--format {format_} writes {what}. Name it with --out.")
    if format_ in FOLDERS:
        keep_apart(out, texts)
    if not lossy and not search.free and format_ not in WITH_SCORES:
        raise OptionError(
            f"--format {format_} cannot hold the scores of annotations. Add --lossy to leave out "
            f"and count what it cannot hold, or use one of {', '.join(sorted(WITH_SCORES))}."
        )
    rehearse_export(format_, out, overwrite=overwrite)
    losses, notes = Losses(format_name=None if lossy else format_), Losses()

    def convert(path: Path) -> None:
        documents = read_output(path, losses=losses, notes=notes)
        write(format_, documents, out, losses=losses, notes=notes, overwrite=overwrite)

    return convert
