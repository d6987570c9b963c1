"""Annotated tasks of Label Studio projects, collected from its webhooks, as files of JSON.

Each task is a file of its own, in Label Studio's format JSON, in a folder for its project. They
hold the texts, so that only their owner can read them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annoseq.atomic_io import atomic_file
from annoseq.data.streams import LARGEST_CORPUS, read_text
from annoseq.errors import FormatError, OutputError
from annoseq.formats.json_values import require_list, require_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class AnnotatedTasks:
    """The tasks of all projects below a folder, by their numbers."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prepare(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the folder cannot be made: {error.strerror}. Name another."
            ) from error

    def add(
        self, project: int, task: int, data: dict[str, Any], annotation: dict[str, Any]
    ) -> None:
        """Store an annotation of a task, in place of an earlier version of it.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._path(project, task)
        with self._lock:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            stored = _read(path)["annotations"] if path.exists() else []
            kept = [entry for entry in stored if entry.get("id") != annotation.get("id")]
            _write(path, {"id": task, "data": data, "annotations": [*kept, annotation]})

    def remove(self, project: int, annotations: Iterable[int]) -> int:
        """Remove annotations by their numbers; return how many were there.

        Raises:
            OutputError: a file cannot be written.
        """
        removed, numbers = 0, set(annotations)
        with self._lock:
            for path in self._paths(project):
                task = _read(path)
                kept = [entry for entry in task["annotations"] if entry.get("id") not in numbers]
                removed += len(task["annotations"]) - len(kept)
                if kept and len(kept) < len(task["annotations"]):
                    _write(path, {**task, "annotations": kept})
                elif not kept:
                    path.unlink()
        return removed

    def count(self, project: int) -> int:
        """Return the number of tasks that have an annotation."""
        return len(self._paths(project))

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return the tasks of a project as Label Studio exports them, by number.

        Raises:
            FormatError: a file is damaged.
        """
        with self._lock:
            return [_read(path) for path in self._paths(project)]

    def projects(self) -> Iterator[int]:
        """Yield the numbers of the projects that have annotated tasks."""
        for path in sorted(self.folder.glob("project-*")):
            if (number := path.name.partition("-")[2]).isdecimal():
                yield int(number)

    def _path(self, project: int, task: int) -> Path:
        return self.folder / f"project-{project}" / f"task-{task}.json"

    def _paths(self, project: int) -> list[Path]:
        folder = self.folder / f"project-{project}"
        return sorted(folder.glob("task-*.json"), key=lambda path: (len(path.name), path.name))


def _read(path: Path) -> dict[str, Any]:
    text = read_text(path, limit=LARGEST_CORPUS)
    try:
        task = require_object(json.loads(text), str(path))
    except ValueError as error:
        raise FormatError(f"{path}: this is not valid JSON. Remove the file.") from error
    annotations = require_list(task.get("annotations"), str(path))
    return {**task, "annotations": [require_object(entry, str(path)) for entry in annotations]}


def _write(path: Path, task: dict[str, Any]) -> None:
    with atomic_file(path, overwrite=True, private=True) as new:
        new.write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")
