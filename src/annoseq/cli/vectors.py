"""`annoseq vectors train` and `annoseq vectors show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import read_table
from annoseq.cli.options import Columns, Overwrite, PairsPath, TableFormatOption, at_least
from annoseq.cli.output import print_data, print_note, print_result
from annoseq.config import ColumnsConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.folder_files import describe_unsafe_file
from annoseq.errors import DatasetError, OptionError, count_noun
from annoseq.tokenization.seq2seq_tokenizer import SOURCE_FILE, TARGET_FILE, VOCABULARY_BYTES
from annoseq.tokenization.vocabulary import Vocabulary
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.train_fasttext import FastTextConfig, import_gensim, train_fasttext
from annoseq.vectors.word_vectors import lookup_word, report_neighbors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.vectors.word_vectors import NeighborReport, WordVectors

_DEFAULTS = FastTextConfig()


def _check_suffix(_: object, path: Path) -> None:
    if path.suffix != ".bin":
        raise ValueError("Use a name that ends in .bin.")


def train(
    pairs: PairsPath,
    /,
    *,
    out: Annotated[
        Path, Parameter(help="File to write, fastText's .bin.", validator=_check_suffix)
    ],
    task: Annotated[
        Literal["auto", "annotate", "translate"],
        Parameter(help="What the pairs are for: of translations both sides are read."),
    ] = "auto",
    overwrite: Overwrite = False,
    input_format: TableFormatOption = None,
    columns: Columns = ColumnsConfig(),
    vectors: Annotated[FastTextConfig, Parameter(name="*", group="Vectors")] = _DEFAULTS,
) -> None:
    """Train fastText vectors on the pairs' own text."""
    import_gensim()  # before the table is read, which may take long
    check_writable(out, overwrite=overwrite)
    table = read_table(pairs, columns, input_format=input_format)
    chosen = parse_pairs(table, skip_bad=True).task if task == "auto" else task
    words = train_fasttext(table, out, task=chosen, config=vectors, overwrite=overwrite)
    print_note(
        f"wrote {out}: {count_noun(words, 'word')}, {vectors.width} wide. It lists words of your "
        "text: keep it as private as the text itself"
    )


def show(
    vectors: Annotated[
        Path,
        Parameter(help="Vectors (.bin, .vec, .vec.gz), or folder of an encoder."),
    ],
    words: Annotated[tuple[str, ...], Parameter(help="Words to look up.")] = (),
    /,
    *,
    vocabulary: Annotated[
        Path | None,
        Parameter(
            help="Prepared data or a model folder, among whose words neighbours are searched for; "
            "by default the file's own first words."
        ),
    ] = None,
    missing: Annotated[
        bool,
        Parameter(help="List the words of --vocabulary that have no vector.", negative=""),
    ] = False,
    first: Annotated[
        int,
        Parameter(help="How many of the file's first words to search.", validator=at_least(1)),
    ] = 20_000,
    neighbours: Annotated[int, Parameter(help="Nearest words to show.", validator=at_least(0))] = 5,
    head: Annotated[
        int, Parameter(help="Values of each vector to show.", validator=at_least(0))
    ] = 8,
) -> None:
    """Show words' vectors, their norms and their nearest neighbours by cosine."""
    if missing and vocabulary is None:
        raise OptionError("--missing needs the words to look for: add --vocabulary DATA.")
    if not (words or missing):
        raise OptionError("there are no words to show. Name some, or add --missing.")
    if not all(map(str.strip, words)):
        raise OptionError("one of the words to show is empty. Leave it out.")
    file = open_vectors(vectors)
    candidates = file.first_words(first) if vocabulary is None else _vocabulary_words(vocabulary)
    if missing:
        _print_missing(candidates, file)
    if not words:
        return
    for report in report_neighbors(words, file, among=candidates, neighbors=neighbours):
        print_result(_format_report(report, head=head))


def _print_missing(words: Sequence[str], vectors: WordVectors) -> None:
    origins = vectors.look_up(words).origins
    print_note(
        f"of {count_noun(len(words), 'word')}, with a vector: {origins.count('seen'):,}, composed "
        f"of subwords: {origins.count('composed'):,}, missing: {origins.count('missing'):,}"
    )
    for word, origin in zip(words, origins, strict=True):
        if origin == "missing":
            print_data(word)


def _vocabulary_words(folder: Path) -> list[str]:
    """Return the words of both vocabularies of prepared data or of a model folder."""
    if problem := describe_unsafe_file(folder, VOCABULARY_BYTES):
        raise DatasetError(f"{folder}: {problem}. Copy the whole folder again.")
    words: dict[str, None] = {}
    for name in (SOURCE_FILE, TARGET_FILE):
        try:
            tokens = Vocabulary.from_json((folder / name).read_text(encoding="utf-8")).tokens
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DatasetError(
                f"{folder}: {name}: {reason}. "
                "Give a folder that `annoseq prepare` or `annoseq train` wrote."
            ) from error
        words |= dict.fromkeys(word for word in map(lookup_word, tokens) if word is not None)
    return list(words)


def _format_report(report: NeighborReport, *, head: int) -> str:
    if report.origin == "missing":
        return f"{report.word}: missing, neither the word nor its subwords have a vector"
    vector = report.vector
    values = " ".join(f"{value:.4f}" for value in vector[:head].tolist())
    ellipsis = f" ... ({count_noun(len(vector), 'value')})" if head < len(vector) else ""
    lines = [f"{report.word}: {report.origin}, norm {report.norm:.4f}"]
    if head:
        lines.append(f"  vector   {values}{ellipsis}")
    if report.neighbors:
        nearest = ", ".join(f"{word} {cosine:.3f}" for word, cosine in report.neighbors)
        lines.append(f"  nearest  {nearest}")
    return "\n".join(lines)
