"""A run of `annoseq redact`: to a stream, or by way of a journal to a folder."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.atomic_io import atomic_file, atomic_folder
from annoseq.cli.output import (
    LeftOutInputs,
    data_output,
    is_terminal,
    make_console,
    print_note,
    print_result,
    resume_hint,
)
from annoseq.cli.redact_output import RedactionOutputOptions
from annoseq.cli.redact_texts import GoldOptions, TextTableOptions
from annoseq.config import ColumnsConfig
from annoseq.data.table_rows import TableHeader
from annoseq.data.text_inputs import count_texts
from annoseq.deid.document_source import text_columns
from annoseq.deid.leak_check import GoldIdentifiers, LeakCounts
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.deid.redaction_report import RedactionReport, merge_reports, print_report
from annoseq.deid.run_output import (
    ANNOTATIONS_FILE,
    CONFIG_FILE,
    REPORT_FILE,
    OutputLayout,
    read_journal,
    record_mapping,
    stream_redacted,
    write_json,
    write_redacted,
)
from annoseq.inference.resumable_output import ResumableOutput
from annoseq.progress import progress_bar
from annoseq.scale.part_manifest import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import TextIO

    from annoseq.cli.folder_options import FolderCommand
    from annoseq.deid.audit_log import AuditLog
    from annoseq.deid.manifest import RedactionManifest
    from annoseq.deid.redaction import RedactedDocument, RedactionDocument
    from annoseq.errors import AnnoseqError
    from annoseq.scale.folder_run import FolderSummary


@dataclass(frozen=True)
class RedactionRun:
    """Redaction of one input to a stream, or by way of a journal to a folder.

    `columns` are those of the model's training table; `audit_log` makes the audit log of a report
    and the file of redacted texts; `manifest` has the documents of earlier runs. `header` is that
    of the table, as soon as it is read.
    """

    pipeline: RedactionPipeline
    texts: Path
    source: TextTableOptions
    target: RedactionOutputOptions
    layout: OutputLayout
    settings: dict[str, Any]
    gold: GoldOptions
    columns: ColumnsConfig
    audit_log: Callable[[RedactionReport, Path | None], AuditLog]
    manifest: RedactionManifest | None = None
    header: TableHeader = field(default_factory=TableHeader)

    def start(self, plan: dict[str, Any], *, is_resumable: bool) -> None:
        """Write the stream or the folder, whichever is asked for."""
        if self.target.is_stream:
            self.stream()
        else:
            self.write(plan, is_resumable=is_resumable)

    def stream(self) -> None:
        """Write the redacted text or table to standard output, and the report to standard error."""
        left_out, output = LeftOutInputs(), data_output()
        report = self._new_report()
        with (
            _owner_only_file(self.target.mapping, overwrite=self.target.overwrite) as mapping,
            self._progress_bar() as advance,
        ):
            documents = report.watch_patients(self._documents(left_out, advance))
            redacted = self.pipeline.redact(
                documents, chunk_size=self.source.chunk_size, advance=advance
            )
            counted = _count(record_mapping(redacted, mapping), report)
            stream_redacted(output, self.layout, counted, self.header, bom=self.target.bom)
            output.flush()
        report.left_out = left_out.count
        self._write_audit_log(report, None)
        print_report(self._values(report), make_console(stderr=True, width=_report_width()))
        left_out.print_notes()

    def write(self, plan: dict[str, Any], *, is_resumable: bool) -> None:
        """Write the folder when all texts are redacted; an interrupted run can be resumed.

        The manifest comes last: what it says is done, is in the output.
        """
        target, left_out = self.target, LeftOutInputs()
        report = self._new_report()
        with self.manifest or nullcontext():
            if self.manifest and self.manifest.has_other_settings:
                print_note(f"{target.manifest}: the last run had other settings: all is done again")
            self._write_journal(plan, report, left_out, is_resumable=is_resumable)
            self._write_audit_log(report, target.out / ANNOTATIONS_FILE)
            if self.manifest:
                self.manifest.commit()
        print_report(self._values(report), make_console(width=_report_width()))
        print_result(f"wrote {target.out}")
        left_out.print_notes()

    def _write_journal(
        self,
        plan: dict[str, Any],
        report: RedactionReport,
        left_out: LeftOutInputs,
        *,
        is_resumable: bool,
    ) -> None:
        """Redact to a journal, and turn it into the folder and the report when it is complete."""
        target = self.target

        def finish(journal: Path) -> None:
            report.left_out = left_out.count
            report.statuses = self.manifest.counts() if self.manifest else None
            self._write_folder(journal, report)

        journal = ResumableOutput(
            target.out,
            plan=plan,
            is_folder=False,
            resume=target.resume,
            overwrite=target.overwrite,
            convert=finish,
        )
        with resume_hint(journal, is_resumable=is_resumable), self._progress_bar() as advance:
            self.pipeline.redact_to_journal(
                report.watch_patients(self._documents(left_out, advance)),
                journal,
                chunk_size=self.source.chunk_size,
                keeps_originals=target.mapping is not None,
                advance=advance,
            )

    def _documents(
        self, left_out: LeftOutInputs, advance: Callable[[int], None]
    ) -> Iterator[RedactionDocument]:
        """Read the documents, but those that the manifest says are done."""

        def leave_out(error: AnnoseqError) -> None:
            left_out.add(error)
            if self.manifest and error.document is not None:
                self.manifest.mark_failed(error.document)

        gold = self._load_gold(left_out)
        documents = self.source.documents(
            self.texts, gold, leave_out, self.header, text_columns=text_columns(self.columns)
        )
        return self.manifest.select(documents, on_skip=advance) if self.manifest else documents

    def _write_audit_log(self, report: RedactionReport, annotations: Path | None) -> None:
        if self.target.audit_log is None:
            return
        with atomic_file(self.target.audit_log, overwrite=self.target.overwrite) as new:
            self.audit_log(report, annotations).write(new)

    def _write_folder(self, journal: Path, report: RedactionReport) -> None:
        target = self.target
        with (
            _owner_only_file(target.mapping, overwrite=target.overwrite) as mapping,
            atomic_folder(target.out, overwrite=target.overwrite) as folder,
        ):
            documents = _count(record_mapping(read_journal(journal), mapping), report)
            write_redacted(folder, self.layout, documents, self.header, bom=target.bom)
            write_json(folder / REPORT_FILE, self._values(report))
            write_json(folder / CONFIG_FILE, self.settings)

    def _load_gold(self, left_out: LeftOutInputs) -> GoldIdentifiers | None:
        return self.gold.load(self.source, self.columns, on_bad=left_out.add)

    def _new_report(self) -> RedactionReport:
        leaks = LeakCounts(listed_words=self.gold.lost_words) if self.gold.gold else None
        return RedactionReport(leaks=leaks)

    def _values(self, report: RedactionReport) -> dict[str, Any]:
        return report.to_dict()

    def _progress_bar(self) -> AbstractContextManager[Callable[[int], None]]:
        """Return a progress bar, unless it would garble results on the same terminal."""
        if not is_terminal() or (self.target.is_stream and sys.stdout.isatty()):
            return nullcontext(lambda _: None)
        source = self.source
        total = count_texts(
            self.texts,
            column=source.text_column,
            format_=source.input_format,
            delimiter=source.delimiter,
            encoding=source.encoding,
        )
        return progress_bar("redacting", total=total)


def _count(
    documents: Iterable[RedactedDocument], report: RedactionReport
) -> Iterator[RedactedDocument]:
    for document in documents:
        report.add(document)
        yield document


def _report_width() -> int | None:
    return None if is_terminal() else 120


@contextmanager
def _owner_only_file(path: Path | None, *, overwrite: bool) -> Iterator[TextIO | None]:
    """Open a new file that only its owner may read, if there is a path."""
    if path is None:
        yield None
        return
    with atomic_file(path, overwrite=overwrite) as new:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file


def report_folder(command: FolderCommand, summary: FolderSummary) -> None:
    """Report on all parts of a folder that are redacted, in this run or before.

    Raises:
        TableError: parts failed.
    """
    values = merge_reports(
        (record.name, record.report) for record in summary.records if record.report is not None
    )
    RunFolder(command.out).write_json(REPORT_FILE, values)
    print_report(values, make_console(width=_report_width()))
    command.print_summary(summary)
