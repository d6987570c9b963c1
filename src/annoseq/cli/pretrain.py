"""`annoseq pretrain`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.options import Batching, Device, Overwrite, TextDelimiter, TextEncoding
from annoseq.cli.output import print_note, print_result
from annoseq.config import (
    SOURCE_COLUMN,
    BatchConfig,
    DeviceConfig,
    PretrainingConfig,
    TaggerConfig,
)
from annoseq.data.markup import strip_tags
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.errors import MissingColumnError, OptionError, count_noun
from annoseq.models.language_model import size_options
from annoseq.output_lock import OutputLock
from annoseq.training.checkpoint import check_training_output, last_change
from annoseq.training.pretraining import Pretraining, check_pretrained_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_TAGGER, _TRAINING = TaggerConfig(), PretrainingConfig()


def pretrain(
    *texts: Annotated[
        Path,
        Parameter(
            help="Texts without annotations: tables, .txt files, folders of .txt files. The table "
            "of pairs may be among them: its target texts are not read."
        ),
    ],
    out: Annotated[Path, Parameter(help="Folder of the language model to write.")],
    column: Annotated[str, Parameter(help="Column of the texts of a table.")] = SOURCE_COLUMN,
    delimiter: TextDelimiter = None,
    encoding: TextEncoding = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted training of --out.", negative="")
    ] = False,
    overwrite: Overwrite = False,
    tagger: Annotated[TaggerConfig, Parameter(name="tagger", group="Network")] = _TAGGER,
    training: Annotated[PretrainingConfig, Parameter(name="*", group="Training")] = _TRAINING,
    batching: Batching = BatchConfig(),
    device: Device = DeviceConfig(),
) -> None:
    """Train the network of a tagger to predict the words of texts without annotations."""
    if not texts:
        raise OptionError("there are no texts to learn from. Name a table, a file or a folder.")
    check_pretrained_network(tagger)  # before the texts are read
    checkpoint = out.with_name(f"{out.name}.training")
    with OutputLock(out):
        check_training_output(out, checkpoint, resume=resume, overwrite=overwrite)
        with _explained_interrupts(checkpoint, resume=resume):
            run = Pretraining(
                _read(texts, column=column, delimiter=delimiter, encoding=encoding),
                tagger=tagger,
                training=training,
                batching=batching,
                device=device,
            )
            print_note(f"texts: {run.texts:,}, of {count_noun(run.tokens, 'token')}")
            run.fit(checkpoint=checkpoint, resume=resume, report=print_result)
            run.save(out, overwrite=overwrite)
        checkpoint.unlink()
    assert run.perplexity is not None
    print_result(f"perplexity {run.perplexity:,.1f}")
    print_note(
        f"saved {out}; next: annoseq train PAIRS --language-model {out}{size_options(tagger)} "
        "--out MODEL"
    )


@contextmanager
def _explained_interrupts(checkpoint: Path, *, resume: bool) -> Iterator[None]:
    """Tell how to go on after an interruption of the block, by what the training has written."""
    before = last_change(checkpoint)
    try:
        yield
    except KeyboardInterrupt:
        told = "interrupted before the first epoch. Give the same command again to begin."
        if resume or last_change(checkpoint) != before:
            told = (
                "interrupted. Add --resume to the same command to go on after the last epoch that "
                "is complete."
            )
        raise KeyboardInterrupt(told) from None


def _read(
    paths: Iterable[Path], *, column: str, delimiter: str | None, encoding: str | None
) -> list[str]:
    """Read texts, each once; print how many are blank or doubled, which are left out.

    Raises:
        TableError: a table cannot be read, or lacks the column.
        OptionError: all are blank, or the name of a file does not say what it is.
    """
    found: list[str] = []
    for path in paths:
        is_text_input(path, None, advice="give it a name that ends in .txt")
        texts = read_texts(path, column=column, delimiter=delimiter, encoding=encoding)
        try:
            found += [one.text for one in texts]
        except MissingColumnError as error:
            raise MissingColumnError(f"{error} --column names it.") from error
    kept = list(dict.fromkeys(text for text in found if text.strip()))
    if not kept:
        raise OptionError(
            f"{count_noun(len(found), 'text')} given, and none that is not blank. Give texts."
        )
    if tagged := sum(strip_tags(text) != text for text in kept):
        print_note(
            f"warning: {count_noun(tagged, 'text')} with tags, which are read as they stand. If "
            "these are the target texts of pairs, name the column of the source texts with --column"
        )
    if len(kept) < len(found):
        print_note(
            f"{count_noun(len(found), 'text')} given; {len(found) - len(kept):,} left out, which "
            "are blank or equal to another"
        )
    return kept
