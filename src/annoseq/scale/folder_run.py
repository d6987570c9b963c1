"""Folder run: which parts are to do, by which engine, and what came of it.

An engine only maps parts: planning, resuming, counting and errors are here, once for all engines.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from annoseq.data.filesystems import is_remote
from annoseq.errors import OptionError, OutputError, TableError, count_noun
from annoseq.inference.annotator import Annotator
from annoseq.output_lock import OutputLock
from annoseq.scale.part_manifest import RunFolder, check_same_plan, digest
from annoseq.scale.part_worker import PartWorker
from annoseq.scale.parts import part_stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from annoseq.config import DeviceConfig
    from annoseq.scale.part_manifest import PartRecord
    from annoseq.scale.part_worker import PartJob, PartOutcome
    from annoseq.scale.parts import InputPart, PartListing

_MAX_NAMED = 5
"""Failures that a message names; the others are counted."""


@dataclass(frozen=True)
class WorkerSpec:
    """Options of a worker, which are sent to every process; the model's files come apart."""

    job: PartJob
    folder: str
    run: str
    """Digest of the plan, which `FolderRun` fills in."""
    device: DeviceConfig
    vectors: Path | None = None
    skip_bad: bool = False

    def start(self, model: Path, *, attempts: str | None = None) -> PartWorker:
        """Load the model and return a worker (see `PartWorker` for `attempts`).

        Raises:
            AnnoseqError: the model cannot be loaded.
        """
        annotator = Annotator.load(model, device=self.device, vectors=self.vectors)
        return self.attach(annotator, attempts=attempts)

    def attach(self, annotator: Annotator, *, attempts: str | None = None) -> PartWorker:
        """Return a worker with a model that is loaded already."""
        return PartWorker(
            self.job.attach(annotator),
            RunFolder(self.folder),
            run=self.run,
            skip_bad=self.skip_bad,
            attempts=attempts,
        )


class Engine(Protocol):
    """Maps parts to their outcomes, in any order."""

    def map(self, spec: WorkerSpec, parts: Sequence[InputPart]) -> Iterator[PartOutcome]:
        """Yield the outcome of every part."""
        ...


@dataclass(frozen=True)
class LocalEngine:
    """One process, which has loaded the model."""

    annotator: Annotator

    def map(self, spec: WorkerSpec, parts: Sequence[InputPart]) -> Iterator[PartOutcome]:
        """Yield the outcome of every part, in order."""
        worker = spec.attach(self.annotator)
        for part in parts:
            yield worker.process(part)


class PartPlan(NamedTuple):
    """Parts to do, records of those that are done, and outputs whose input is gone.

    `orphans` of these were left, `removed` ones deleted.
    """

    to_do: list[InputPart]
    done: list[PartRecord]
    orphans: int
    removed: int = 0


@dataclass
class FolderSummary:
    """Records of all parts that are done, failures, and how many were done before.

    `orphans` and `removed` are as in the plan; `kept` are outputs that failed parts had before, and
    still have; `strangers` are files among the outputs that no
    part wrote, which are looked for where all parts are done again.
    """

    records: list[PartRecord]
    done_before: int
    orphans: int
    removed: int = 0
    failures: list[str] = field(default_factory=list)
    kept: int = 0
    strangers: int = 0

    def total(self, name: str) -> int:
        """Return a sum over parts: `texts`, `spans`, `errors` or `problems`."""
        return sum(getattr(record, name) for record in self.records)

    @property
    def labels(self) -> set[str]:
        """The different labels of all spans."""
        return {label for record in self.records for label in record.labels}

    @property
    def skipped(self) -> list[PartRecord]:
        """Parts that were left out for `--skip-bad`."""
        return [record for record in self.records if record.skipped is not None]


@dataclass(frozen=True)
class FolderRun:
    """A run over the parts of a folder, under a plan: all that decides the outputs.

    With `only_new`, parts that are done stay as they are, whatever model and options they were
    done with; with `overwrite`, all are done again, and those without an input are removed.
    """

    out: str
    listing: PartListing
    plan: Mapping[str, Any]
    only_new: bool = False
    overwrite: bool = False

    def lock(self) -> AbstractContextManager[None]:
        """Return the lock of a local output folder; a remote one has none."""
        return nullcontext() if is_remote(self.out) else OutputLock(Path(self.out))

    def prepare(self) -> PartPlan:
        """Check the output folder and return what is to do.

        Raises:
            OptionError: the folder was begun with another model or other options.
            OutputError: the folder was written by another program, or cannot be written.
        """
        folder = RunFolder(self.out)
        config = folder.config()
        if config is None and self.only_new:
            raise OptionError(
                f"--only-new goes on with the parts of an earlier run, and there is none at "
                f"{self.out}. Leave it off to begin one."
            )
        if config is not None and not (self.only_new or self.overwrite):
            check_same_plan(self.out, config["plan"], self.plan)
        removed = 0
        if self.overwrite:
            removed = folder.remove_orphans({part.name for part in self.listing.parts})
            folder.supersede_records(digest(self.plan))
        folder.write_config(self.plan)
        return self._plan_parts(folder)._replace(removed=removed)

    def run(
        self,
        engine: Engine,
        spec: WorkerSpec,
        plan: PartPlan,
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> FolderSummary:
        """Do the parts of a plan; a failed part does not keep the others from being done.

        Raises:
            OutputError: an output cannot be written.
        """
        spec = replace(spec, folder=self.out, run=digest(self.plan))
        summary = FolderSummary(list(plan.done), len(plan.done), plan.orphans, plan.removed)
        advance(len(plan.done))
        if not plan.to_do:
            return summary
        # The largest first: a long part that begins last would keep all others waiting.
        parts = sorted(plan.to_do, key=lambda part: (-part.size, part.name))
        for outcome in engine.map(spec, parts):
            advance(1)
            if outcome.record is not None:
                summary.records.append(outcome.record)
                continue
            failure = outcome.failure or f"{outcome.name}: failed"
            if outcome.is_fatal:
                raise OutputError(f"{failure} Run the same command again to go on.")
            summary.failures.append(failure)
        summary.records.sort(key=lambda record: record.name)
        lost = len(parts) - (len(summary.records) - len(plan.done)) - len(summary.failures)
        if lost:
            summary.failures.append(f"{count_noun(lost, 'part')}: the engine gave no outcome")
        folder = RunFolder(self.out)
        folder.delete("_attempts")
        if summary.failures or self.overwrite:
            self._count_left(folder, summary)
        return summary

    def _count_left(self, folder: RunFolder, summary: FolderSummary) -> None:
        """Count the outputs that are of no part that is done: those of failed parts, and others."""
        done = {record.name for record in summary.records}
        failed = {f"parts/{part.stem}" for part in self.listing.parts if part.name not in done}
        left = folder.outputs().keys() - {record.output for record in summary.records}
        summary.kept = sum(part_stem(name) in failed for name in left)
        if self.overwrite:
            summary.strangers = len(left) - summary.kept

    def _plan_parts(self, folder: RunFolder) -> PartPlan:
        records, outputs = folder.records(), folder.outputs()
        run = digest(self.plan)
        to_do, done = [], []
        for part in self.listing.parts:
            record = records.pop(part.name, None)
            is_whole = record is not None and (
                not record.output or outputs.get(record.output) == record.output_size
            )
            if (
                record is not None
                and is_whole
                and record.is_of(part)
                and (self.only_new or record.run == run)
            ):
                done.append(record)
            else:
                to_do.append(part)
        return PartPlan(to_do, done, orphans=len(records))


def check_failures(summary: FolderSummary) -> None:
    """Raise the failures of parts, if there are any, when all other parts are done.

    Raises:
        TableError: parts failed; the message names the first few and counts all.
    """
    if not summary.failures:
        return
    failures = sorted(summary.failures)
    lines = [f"  {failure}" for failure in failures[:_MAX_NAMED]]
    if len(failures) > _MAX_NAMED:
        lines.append(f"  and {len(failures) - _MAX_NAMED:,} more")
    count = count_noun(len(failures), "part")
    raise TableError(
        f"{count} could not be done, and {len(summary.records):,} are. Mend or remove the files "
        "and run the same command again without --overwrite, which does only what is missing, or "
        "add --skip-bad:\n" + "\n".join(lines)
    )
