"""Options of runs over the parts of a folder, and their start, progress and summary."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from annoseq.cli.options import address_of, at_least
from annoseq.cli.output import describe_problem, is_terminal, print_note
from annoseq.data.filesystems import is_remote, split_pattern
from annoseq.errors import OptionError, count_noun
from annoseq.progress import progress_bar
from annoseq.scale.folder_run import (
    Engine,
    FolderRun,
    LocalEngine,
    WorkerSpec,
    check_failures,
)
from annoseq.scale.parts import PartListing, find_parts, is_folder_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from annoseq.data.text_inputs import InputFormat
    from annoseq.inference.annotator import Annotator
    from annoseq.scale.folder_run import FolderSummary

_MAX_NAMED = 5
"""Parts left out that are named; the others are counted."""


def _check_share(_: object, share: float | None) -> None:
    if share is not None and share <= 0:
        raise ValueError("Give a number above 0, such as 0.5 for two workers on a GPU.")


def _check_workers(type_: object, workers: int | None) -> None:
    if workers is not None:
        at_least(1)(type_, workers)


OnlyNewParts = Annotated[
    bool,
    Parameter(
        help="Leave parts that are done as they are, whatever model and options did them.",
        negative="",
        group="Folders",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """Options of runs over the parts of a folder."""

    engine: Annotated[
        Literal["local", "ray"] | None,
        Parameter(
            help="Read TEXTS, a folder or a pattern in quotes, as parts, and write a folder of "
            "parts: in this process (local), or in a pool of processes (ray).",
            group="Folders",
        ),
    ] = None
    address: Annotated[
        str | None,
        Parameter(
            help="Ray cluster (auto, or host:port); without it, Ray starts on this machine.",
            group="Folders",
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        Parameter(
            help="Workers of Ray; by default one for each CPU.",
            validator=_check_workers,
            group="Folders",
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        Parameter(
            help="GPUs, or share of one, for each worker of Ray.",
            validator=_check_share,
            group="Folders",
        ),
    ] = None

    def is_folder_run(self, texts: Path, *, workers: int) -> bool:
        """Return True if the input is to be read as parts.

        Raises:
            OptionError: an option of such runs was given with an input that is none, or `workers`,
                which share one input, with parts.
        """
        if self.engine is not None or is_folder_input(address_of(texts)):
            self._check_engine()
            if workers != 1:
                raise OptionError(
                    f"--workers {workers} is for one input, and a folder of parts is read. Use "
                    f"--engine ray --concurrency {workers}, or leave it off."
                )
            return True
        for name, value in self._given().items():
            if value:
                raise OptionError(
                    f"{name} is for a folder of parts. Name a folder of tables, a pattern in "
                    "quotes, or add --engine ray."
                )
        return False

    def _check_engine(self) -> None:
        for name, value in self._given().items():
            if value and self.engine != "ray":
                raise OptionError(f"{name} is for Ray. Add --engine ray, or leave it off.")

    def _given(self) -> dict[str, object]:
        return {
            "--address": self.address,
            "--concurrency": self.concurrency,
            "--gpus-per-worker": self.gpus_per_worker,
        }

    def make_engine(self, annotator: Annotator, model: Path) -> Engine:
        """Return the engine, which has the model."""
        if self.engine != "ray":
            return LocalEngine(annotator)
        from annoseq.scale.ray_engine import RayEngine

        return RayEngine(
            model,
            address=self.address,
            concurrency=self.concurrency,
            gpus_per_worker=self.gpus_per_worker or 0.0,
            note=print_note,
        )


@dataclass(frozen=True)
class FolderCommand:
    """A command over the parts of a folder: input and output are checked before a model loads."""

    options: FolderOptions
    listing: PartListing
    out: str
    overwrite: bool
    only_new: bool

    @classmethod
    def open(
        cls,
        options: FolderOptions,
        texts: Path,
        out: Path | None,
        *,
        format_: InputFormat | None,
        overwrite: bool,
        only_new: bool,
        resume: bool,
    ) -> FolderCommand:
        """List the parts.

        Raises:
            OptionError: there is no `out`, or it lies in the input; options contradict each other;
                or there are no parts.
            TableError: there is no such folder.
        """
        if out is None or str(out) == "-":
            raise OptionError(
                "the input is read as parts, and a folder of parts is written. Name it with --out."
            )
        if resume:
            raise OptionError(
                "--resume is for one input: a run over a folder of parts goes on where it was "
                "interrupted. Leave it off."
            )
        if overwrite and only_new:
            raise OptionError(
                "--only-new leaves what is done, and --overwrite does it again. Leave one off."
            )
        if options.engine == "ray":
            from annoseq.scale.ray_engine import import_ray

            import_ray()
        address, target = address_of(texts), address_of(out)
        _check_apart(address, target)
        return cls(options, find_parts(address, format_), target, overwrite, only_new)

    @property
    def is_text(self) -> bool:
        """True if the parts are whole texts."""
        return self.listing.parts[0].format == "text"

    @property
    def format(self) -> InputFormat:
        """Format of all parts."""
        return self.listing.parts[0].format

    def run(
        self,
        worker: WorkerSpec,
        plan: Mapping[str, Any],
        annotator: Annotator,
        *,
        model: Path,
    ) -> FolderSummary:
        """Do what is missing under a plan, with a progress bar on a terminal.

        Raises:
            AnnoseqError: parts failed, or the output cannot be written.
            KeyboardInterrupt: the message tells how to go on.
        """
        run = FolderRun(
            self.out,
            self.listing,
            plan,
            only_new=self.only_new,
            overwrite=self.overwrite,
        )
        engine = self.options.make_engine(annotator, model)
        with run.lock(), _progress_bar(len(self.listing.parts)) as advance:
            parts = run.prepare()
            try:
                return run.run(engine, worker, parts, advance=advance)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    "interrupted. Run the same command again to go on with what is missing."
                ) from None

    def print_summary(self, summary: FolderSummary, *, has_spans: bool = True) -> None:
        """Print what was written and what was left out.

        Raises:
            TableError: parts failed.
        """
        skipped = summary.skipped
        if skipped:
            were = "was" if len(skipped) == 1 else "were"
            count = count_noun(len(skipped), "part")
            print_note(f"{count} could not be read and {were} left out (--skip-bad):")
            for record in skipped[:_MAX_NAMED]:
                print_note(f"  {record.skipped}")
            if len(skipped) > _MAX_NAMED:
                print_note(f"  and {len(skipped) - _MAX_NAMED:,} more")
        if rows := summary.total("errors") - len(skipped):
            print_note(f"{count_noun(rows, 'text')} failed; {self.out}/errors says which and why")
        if problems := summary.total("problems"):
            problem = describe_problem(has_spans=has_spans)
            print_note(f"{count_noun(problems, 'output')} {problem}")
        if self.listing.ignored:
            count = count_noun(self.listing.ignored, "file")
            print_note(f"{count} of other formats are not read")
        self._print_left(summary)
        check_failures(summary)
        print_note(self._written(summary, has_spans=has_spans))

    def _print_left(self, summary: FolderSummary) -> None:
        """Print which outputs of before were left, kept and removed."""
        if summary.orphans:
            count = count_noun(summary.orphans, "part")
            print_note(f"left in {self.out}: {count} without an input any more")
        if summary.removed:
            count = count_noun(summary.removed, "part")
            print_note(f"removed from {self.out}: {count} without an input any more")
        if summary.strangers:
            count = count_noun(summary.strangers, "file")
            print_note(f"left in {self.out}/parts: {count} of no part of this run")
        if summary.kept:
            count = count_noun(summary.kept, "output")
            print_note(
                f"kept in {self.out}/parts: {count} of before, whose parts failed and are not "
                "known to have changed. Remove what must not stay."
            )

    def _written(self, summary: FolderSummary, *, has_spans: bool) -> str:
        parts = count_noun(len(summary.records), "part")
        before = f" ({summary.done_before:,} done before)" if summary.done_before else ""
        counts = [parts + before, count_noun(summary.total("texts"), "text")]
        if has_spans:
            counts.append(count_noun(summary.total("spans"), "span"))
            counts.append(count_noun(len(summary.labels), "label"))
        return f"Wrote {self.out}: {', '.join(counts)}."


def _progress_bar(parts: int) -> AbstractContextManager[Callable[[int], None]]:
    return progress_bar("parts", total=parts) if is_terminal() else nullcontext(lambda _: None)


def _check_apart(texts: str, out: str) -> None:
    """Check that the output does not lie in the folder that is read, or contain it.

    Raises:
        OptionError: it does.
    """
    folder = split_pattern(texts)[0]
    if is_remote(folder) or is_remote(out):
        read, written = folder.rstrip("/") + "/", out.rstrip("/") + "/"
        is_apart = not (written.startswith(read) or read.startswith(written))
    else:
        source, target = Path(folder).resolve(), Path(out).resolve()
        is_apart = not (target.is_relative_to(source) or source.is_relative_to(target))
    if not is_apart:
        raise OptionError(
            f"--out {out} and {folder}, which is read, lie in each other. Name a folder apart."
        )
