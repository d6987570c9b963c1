"""`annoseq pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.options import Batching, Device, Overwrite
from annoseq.cli.output import print_note, print_result
from annoseq.config import (
    SOURCE_COLUMN,
    BatchConfig,
    DeviceConfig,
    PretrainingConfig,
    TaggerConfig,
)
from annoseq.data.markup import strip_tags
from annoseq.data.text_inputs import read_texts
from annoseq.errors import MissingColumnError, OptionError, count_noun
from annoseq.output_lock import OutputLock
from annoseq.training.checkpoint import check_training_output
from annoseq.training.language_modelling import check_directions
from annoseq.training.pretraining import Pretraining

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    check_directions(tagger, purpose="pre-training")  # before the texts are read
    checkpoint = out.with_name(f"{out.name}.training")
    with OutputLock(out):
        check_training_output(out, checkpoint, resume=resume, overwrite=overwrite)
        run = Pretraining(
            _read(texts, column=column),
            tagger=tagger,
            training=training,
            batching=batching,
            device=device,
        )
        print_note(f"texts: {run.texts:,}, of {count_noun(run.tokens, 'token')}")
        try:
            run.fit(checkpoint=checkpoint, resume=resume, report=print_result)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "interrupted. Add --resume to the same command to go on after the last epoch that "
                "is complete."
            ) from None
        run.save(out, overwrite=overwrite)
        checkpoint.unlink()
    assert run.perplexity is not None
    print_result(f"perplexity {run.perplexity:,.1f}")
    print_note(f"saved {out}; next: annoseq train PAIRS --language-model {out} --out MODEL")


def _read(paths: Iterable[Path], *, column: str) -> list[str]:
    """Read texts, each once; print how many are blank or doubled, which are left out.

    Raises:
        TableError: a table cannot be read, or lacks the column.
        OptionError: all are blank.
    """
    found: list[str] = []
    for path in paths:
        try:
            found += [one.text for one in read_texts(path, column=column)]
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
