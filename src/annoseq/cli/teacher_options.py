"""Options of the teachers of a tagger, and the unlabelled texts that these read for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.output import print_note
from annoseq.config import DistillationConfig
from annoseq.data.streams import is_standard_input
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.errors import MissingColumnError, OptionError, count_noun, option_name
from annoseq.tokenization.soft_targets import check_not_foreign
from annoseq.training.distillation import Distillation

if TYPE_CHECKING:
    from annoseq.config import ColumnsConfig


@Parameter(name="*", group="Teachers")
@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherOptions:
    """Options of the teachers of a tagger."""

    teacher: Annotated[
        tuple[Path, ...],
        Parameter(
            help="Folder of a model or of an ensemble that the tagger learns from, beside the "
            "pairs. Can be given several times.",
            negative="",
            consume_multiple=False,
            show_default=False,
        ),
    ] = ()
    unlabelled: Annotated[
        Path | None,
        Parameter(
            help="Texts without annotations that the teachers read for it, as well: a table, a "
            ".txt file, or a folder of .txt files."
        ),
    ] = None
    unlabelled_column: Annotated[
        str | None,
        Parameter(
            help="Column of the texts of a table of --unlabelled; by default the source column of "
            "the pairs."
        ),
    ] = None
    distillation: Annotated[DistillationConfig, Parameter(name="*")] = DistillationConfig()

    def check(self, pairs: Path) -> None:
        """Check that options are given with what they belong to, and texts that can be read.

        Raises:
            OptionError: they are not, or both the pairs and the texts are standard input.
            TableError: there is no such file or folder of texts.
        """
        given = [name for name in ("unlabelled", "unlabelled_column") if getattr(self, name)]
        given += sorted(self.distillation.model_fields_set)
        if given and not self.teacher:
            option = option_name(given[0])
            raise OptionError(f"{option} belongs to --teacher. Give one, or leave {option} off.")
        if self.unlabelled and is_standard_input(self.unlabelled) and is_standard_input(pairs):
            raise OptionError(
                "standard input cannot be read twice. Give a file of pairs, or of --unlabelled."
            )
        is_text = self.unlabelled is not None and is_text_input(
            self.unlabelled, None, advice="give it a name that ends in .txt"
        )
        if self.unlabelled_column is not None and (self.unlabelled is None or is_text):
            raise OptionError(
                "--unlabelled-column is for a table of --unlabelled. Name one, or leave "
                "--unlabelled-column off."
            )

    def check_cache(self, path: Path) -> None:
        """Raise `OutputError` if the teachers' expectations would replace a foreign file."""
        if self.teacher:
            check_not_foreign(path)

    def make_distillation(
        self,
        columns: ColumnsConfig,
        *,
        cache: Path,
        vectors: Path | None = None,
        resumes: Path | None = None,
    ) -> Distillation | None:
        """Read the unlabelled texts, if there are teachers; `columns` are those of the pairs.

        `Distillation` describes the others.

        Raises:
            TableError: the texts cannot be read, or the table lacks the column.
            OptionError: there is no text, or all are blank.
        """
        if not self.teacher:
            return None
        texts: tuple[str, ...] = ()
        if self.unlabelled is not None:
            texts = _read_unlabelled(self.unlabelled, self.unlabelled_column or columns.source)
        return Distillation(
            teachers=self.teacher,
            unlabelled=texts,
            config=self.distillation,
            cache=cache,
            vectors=vectors,
            resumes=resumes,
        )


def _read_unlabelled(path: Path, column: str) -> tuple[str, ...]:
    """Read texts; print how many are blank, which are left out."""
    try:
        texts = [one.text for one in read_texts(path, column=column)]
    except MissingColumnError as error:
        raise MissingColumnError(f"{error} --unlabelled-column names it.") from error
    read = tuple(text for text in texts if text.strip())
    if not read:
        raise OptionError(
            f"--unlabelled {path}: {count_noun(len(texts), 'text')} given, and none that is not "
            "blank. Give texts, or leave --unlabelled off."
        )
    if len(read) < len(texts):
        were = "is" if len(texts) - len(read) == 1 else "are"
        print_note(
            f"unlabelled: {count_noun(len(texts), 'text')} given, {len(read):,} read; "
            f"{len(texts) - len(read):,} {were} blank"
        )
    return read
