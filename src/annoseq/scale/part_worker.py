"""Part worker: one input part in, one output part out, with an error row for each text that fails.

The same worker runs in a single process and in every process of a cluster. What it writes depends
on the part, the model and the options alone, so that the number of workers changes no byte.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from annoseq.data.filesystems import atomic_output, open_input, stat_file
from annoseq.errors import AnnoseqError, EmptyTableError, OutputError, TableError, row_of
from annoseq.scale.part_manifest import PartRecord, RunFolder
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from annoseq.inference.annotator import Annotator
    from annoseq.scale.parts import InputPart

_MAX_ATTEMPTS = 3
"""Attempts at a part in one run: a part that kills its worker must not do so for ever."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class PartOutcome(NamedTuple):
    """Outcome of a part: its record if it is done, else the failure; a fatal one ends the run."""

    name: str
    record: PartRecord | None
    failure: str | None = None
    is_fatal: bool = False


@dataclass
class PartOutput:
    """Streams of a part's outputs, and the counts of what is written."""

    data: IO[bytes]
    annotations: IO[bytes] | None
    errors: list[dict[str, str | None]] = field(default_factory=list)
    texts: int = 0
    spans: int = 0
    problems: int = 0
    labels: set[str] = field(default_factory=set)
    bad_row: AnnoseqError | None = None
    """Error of the first row that cannot be read."""
    report: dict[str, Any] | None = None

    def add_error(self, id_: str, error: Exception) -> None:
        """Add an error row: a message of ours quotes no text, of any other the type is told."""
        reason = str(error) if isinstance(error, AnnoseqError) else type(error).__name__
        self.errors.append({"id": id_, "reason": reason})

    def add_bad_row(self, error: AnnoseqError) -> None:
        """Add an error row for a row that cannot be read; its id is its number."""
        self.bad_row = self.bad_row or error
        found = row_of(error)
        self.errors.append({"id": str(found[1]) if found else None, "reason": str(error)})

    def count(self, labels: Iterable[str]) -> None:
        """Count a text that is written, with the labels of its spans."""
        found = list(labels)
        self.texts += 1
        self.spans += len(found)
        self.labels.update(found)


class PartProcessor(Protocol):
    """A loaded model and its options: annotates or redacts the texts of a part."""

    def output_name(self, part: InputPart) -> str:
        """Return the name of the output of a part, without its folder."""
        ...

    @property
    def has_annotations(self) -> bool:
        """True if annotations are written beside the output."""
        ...

    def write(self, part: InputPart, output: PartOutput) -> None:
        """Write a part.

        Raises:
            TableError: the part cannot be read.
            WorkerError: not one text of several could be processed.
        """
        ...


class PartJob(Protocol):
    """Options of a command, which travel to every worker."""

    def attach(self, annotator: Annotator) -> PartProcessor:
        """Return the processor of these options and a model."""
        ...


class WorkerError(RuntimeError):
    """Failure of the worker rather than of a text."""


class _FailedTexts(Exception):  # noqa: N818  # no error: the part has error rows
    """Texts of a part, or its only one, of which each failed."""

    def __init__(self, output: PartOutput) -> None:
        super().__init__()
        self.output = output


class PartWorker:
    """Processes parts and records what is done; it skips a part that has a record of this run.

    What a part wrote before stays until there is something newer. If the part fails, it is removed
    only where the text is known to have changed, by its checksum; a part whose text has not is
    never left out, for its output would go. `attempts` names the run of an engine that starts
    workers anew when they die: a part at which they died three times is given up.
    """

    def __init__(
        self,
        processor: PartProcessor,
        folder: RunFolder,
        *,
        run: str,
        skip_bad: bool,
        attempts: str | None = None,
    ) -> None:
        self._processor, self._folder, self._run = processor, folder, run
        self._skip_bad, self._attempts = skip_bad, attempts

    def process(self, part: InputPart) -> PartOutcome:
        """Process a part unless it is done; no exception leaves, for it could carry text."""
        try:
            return PartOutcome(part.name, self._process(part))
        except OutputError as error:
            return PartOutcome(part.name, None, str(error), is_fatal=True)
        except AnnoseqError as error:
            return PartOutcome(part.name, None, str(error))
        except Exception as error:  # noqa: BLE001  # a bug, or a device that failed
            return PartOutcome(part.name, None, f"{part.name}: {_describe(error)} in the worker")

    def _process(self, part: InputPart) -> PartRecord:
        before = self._folder.record(part.name)
        is_done = before is not None and before.run == self._run and self._folder.is_whole(before)
        if before is not None and is_done and before.is_of(part):
            return before  # its worker died, or the driver, after the record was written
        checksum = _checksum(part.address)
        if before is not None and is_done and before.sha256 == checksum:
            touched = replace(before, modified=part.modified)
            self._folder.write_record(touched)
            return touched
        try:
            return self._redo(part, checksum, before)
        except OutputError:
            raise
        except Exception:
            if before is not None and before.sha256 != checksum:
                self._remove(part, before)
            raise

    def _redo(self, part: InputPart, checksum: str, before: PartRecord | None) -> PartRecord:
        self._count_attempt(part)
        record = self._write(part, checksum, before)
        is_elsewhere = before is not None and before.output not in {"", record.output}
        if before is not None and is_elsewhere and self._folder.is_whole(before):
            self._folder.delete(before.output)  # in another format
        self._folder.write_record(record)
        return record

    def _remove(self, part: InputPart, before: PartRecord | None) -> None:
        output = f"parts/{self._processor.output_name(part)}"
        self._folder.remove_part(part.name, output, before.output if before else "")

    def _write(self, part: InputPart, checksum: str, before: PartRecord | None) -> PartRecord:
        """Write the outputs of a part; with `skip_bad`, an unreadable one has error rows alone.

        Raises:
            TableError: the part cannot be read, was changed meanwhile, or failed at every text, of
                which there is an output of before.
        """
        has_texts = self._folder.has_texts(before, checksum=checksum)
        try:
            output, name, size = self._write_outputs(part, needs_texts=has_texts)
        except TableError as error:
            if not self._skip_bad or has_texts:
                raise
            _check_unchanged(part)
            self._remove(part, before)
            self._write_errors(part, [{"id": None, "reason": str(error)}])
            return PartRecord(
                *(part.name, part.size, part.modified, checksum, self._run, "", 0),
                errors=1,
                skipped=str(error),
            )
        except _FailedTexts as failed:
            output, name, size = failed.output, "", 0
            if has_texts:
                reason = output.errors[0]["reason"]
                raise TableError(
                    f"{part.name}: failed at every text, as it did not before: {reason}"
                ) from None
            self._remove(part, before)
        self._write_errors(part, output.errors)
        return PartRecord(
            *(part.name, part.size, part.modified, checksum, self._run, name, size),
            texts=output.texts,
            errors=len(output.errors),
            spans=output.spans,
            problems=output.problems,
            labels=tuple(sorted(output.labels)),
            report=output.report,
        )

    def _write_outputs(self, part: InputPart, *, needs_texts: bool) -> tuple[PartOutput, str, int]:
        name = f"parts/{self._processor.output_name(part)}"
        with ExitStack() as stack:
            data = stack.enter_context(atomic_output(self._folder.address_of(name)))
            annotations = None
            if self._processor.has_annotations:
                address = self._folder.address_of(f"annotations/{part.stem}.jsonl")
                annotations = stack.enter_context(atomic_output(address))
            output = PartOutput(data, annotations)
            self._processor.write(part, output)
            _check_unchanged(part)
            if output.errors and (part.format == "text" or (needs_texts and not output.texts)):
                raise _FailedTexts(output)  # so that no file stands for them
            if output.bad_row is not None and not output.texts:
                raise output.bad_row  # not one row can be read: the part is another table
            size = data.tell()
        return output, name, size

    def _write_errors(self, part: InputPart, errors: Sequence[dict[str, str | None]]) -> None:
        name = f"errors/{part.stem}.jsonl"
        if not errors:
            self._folder.delete(name)  # of a run before this one
            return
        with atomic_output(self._folder.address_of(name)) as stream:
            for error in errors:
                stream.write((json.dumps(error, ensure_ascii=False) + "\n").encode())

    def _count_attempt(self, part: InputPart) -> None:
        """Note that a part is begun, and give it up if its workers died too often.

        Raises:
            WorkerError: they did.
        """
        if self._attempts is None:
            return
        name = f"_attempts/{self._attempts}/{part.name}.json"
        done = self._folder.read_json(name).get("attempts", 0)
        if done >= _MAX_ATTEMPTS:
            raise WorkerError(
                f"its worker died {_MAX_ATTEMPTS} times; its texts may be too long for the memory"
            )
        self._folder.write_json(name, {"attempts": done + 1})


def isolate_failures(
    items: Sequence[Item],
    process: Callable[[Sequence[Item]], Sequence[Result]],
    on_failed: Callable[[Item, Exception], None],
) -> list[Result]:
    """Process items at once or, where that fails, one by one, and pass on those that fail alone.

    Raises:
        WorkerError: each of several failed for a reason that is not ours: a device is broken.
        OutputError: as `process`.
    """
    try:
        return list(process(items))
    except OutputError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a text makes of a network
        if len(items) == 1:
            on_failed(items[0], error)
            return []
    results: list[Result] = []
    failed: list[tuple[Item, Exception]] = []
    for item in items:
        try:
            results += process([item])
        except OutputError:
            raise
        except Exception as failure:  # noqa: BLE001
            failed.append((item, failure))
    if len(failed) == len(items) and not isinstance(failed[-1][1], AnnoseqError):
        raise WorkerError(f"{_describe(failed[-1][1])} at each of {len(items)} texts")
    for item, reason in failed:
        on_failed(item, reason)
    return results


def empty_token_cache(annotator: Annotator) -> None:
    """Forget the tokens that were met, so that a part does not depend on the parts before.

    A tagger computes new tokens together, and their number changes the last digits of scores.
    """
    tokenizer = annotator.tokenizer
    if isinstance(tokenizer, TaggerTokenizer):
        with annotator.predictor.exclusive_use():
            tokenizer.feature_hasher.clear()


def ignore_empty(process: Callable[[], None]) -> None:
    """Call a function, and let a table without rows, as Spark writes them, be an empty part."""
    try:
        process()
    except EmptyTableError:
        return


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, WorkerError) else type(error).__name__


def _check_unchanged(part: InputPart) -> None:
    """Check that a part is still the file that was listed.

    Raises:
        TableError: its size or time of change is another.
    """
    if stat_file(part.address) not in {None, (part.size, part.modified)}:
        raise TableError(
            f"{part.name}: it was changed while it was read. Run the same command again."
        )


def _checksum(address: str) -> str:
    """Return the SHA-256 of a file.

    Raises:
        TableError: it cannot be read.
    """
    try:
        with open_input(address) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or "the filesystem gives no reason"
        raise TableError(
            f"{address}: cannot be read: {reason}. Name files that can be read."
        ) from error
