"""Folders of small parts, and workers that annotate without a network."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.data.markup import Span
from annoseq.inference.annotation import from_spans
from annoseq.scale.annotate_part import AnnotateJob
from annoseq.scale.folder_run import FolderRun, WorkerSpec
from annoseq.scale.part_manifest import digest
from annoseq.scale.parts import find_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.inference.annotation import Annotation
    from annoseq.scale.folder_run import FolderSummary
    from annoseq.scale.part_worker import PartOutcome, PartWorker
    from annoseq.scale.parts import InputPart

PLAN = {"model": "abc", "chunk_size": 4}


def write_csv(path: Path, texts: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["orig_text"])
        writer.writerows([text] for text in texts)


def write_parts(folder: Path, *, parts: int, rows: int = 6) -> Path:
    """Write CSV parts of short texts."""
    for part in range(parts):
        texts = [f"Dr. Ames saw patient {part}-{row}." for row in range(rows)]
        write_csv(folder / f"{part % 3}" / f"{part:03}.csv", texts)
    return folder


def annotate_job(*, format_: str = "jsonl", keep: tuple[str, ...] | None = ()) -> AnnotateJob:
    return AnnotateJob(
        format_,  # type: ignore[arg-type]
        "orig_text",
        chunk_size=4,
        search=SearchConfig(),
        batching=BatchConfig(batch_size=4),
        keep=keep,
    )


def worker_spec(job: AnnotateJob, out: Path | str, *, skip_bad: bool = False) -> WorkerSpec:
    device = DeviceConfig(device="cpu")
    return WorkerSpec(job, str(out), digest(PLAN), device, skip_bad=skip_bad)


def folder_run(
    folder: Path | str, out: Path | str, *, only_new: bool = False, overwrite: bool = False
) -> FolderRun:
    listing = find_parts(str(folder))
    return FolderRun(str(out), listing, PLAN, only_new=only_new, overwrite=overwrite)


@dataclass
class WorkerEngine:
    """Engine of a worker that exists, which stops after a number of parts."""

    worker: PartWorker
    stop_after: int | None = None
    seen: int = 0

    def map(self, spec: WorkerSpec, parts: Sequence[InputPart]) -> Iterator[PartOutcome]:
        del spec
        for part in parts:
            if self.seen == self.stop_after:
                raise KeyboardInterrupt
            self.seen += 1
            yield self.worker.process(part)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def outputs(out: Path) -> dict[str, bytes]:
    """Return what a run writes but its manifest, which has times of change."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "manifest" not in path.parts
    }


def done_names(summary: FolderSummary) -> list[str]:
    return [record.name for record in summary.records]


@dataclass
class EchoAnnotator:
    """Annotates without a network: "Dr" is a TITLE; a text with `fails_at` raises an error."""

    calls: int = 0
    error: type[Exception] = ValueError
    fails_at: str = "FAIL"
    tokenizer: None = None

    def annotate(self, texts: Sequence[str], **_: object) -> list[Annotation]:
        self.calls += 1
        for text in texts:
            if self.fails_at in text:
                raise self.error(text)
        return [self._annotation(text) for text in texts]

    def _annotation(self, text: str) -> Annotation:
        spans = [Span(0, 2, "TITLE", 0.5)] if text.startswith("Dr") else []
        return from_spans(text, spans, score=-0.1, windows=1)


def echo_worker(
    out: Path | str,
    *,
    annotator: EchoAnnotator | None = None,
    job: AnnotateJob | None = None,
    skip_bad: bool = False,
    attempts: str | None = None,
) -> PartWorker:
    spec = worker_spec(job or annotate_job(), out, skip_bad=skip_bad)
    return spec.attach(annotator or EchoAnnotator(), attempts=attempts)  # type: ignore[arg-type]
