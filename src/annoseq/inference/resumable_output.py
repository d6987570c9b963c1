"""Resumable output: written chunk by chunk, kept when interrupted, in place when complete.

Until the end there is a folder `NAME.partial` beside `NAME`: `output` (a file, or a folder of
files) and `state.json`, with the settings of the run and the part of `output` that is complete. Its
owner alone may read it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.atomic_io import (
    atomic_file,
    atomic_folder,
    check_writable,
    durable_replace,
    make_public,
    remove_folder,
)
from annoseq.errors import OptionError, OutputError
from annoseq.output_lock import OutputLock, as_output_error, check_has_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

_STATE_FILE = "state.json"


class OutputProgress(NamedTuple):
    """Numbers of texts done, of outputs with a problem and of spans, and a checksum of the texts.

    `labels` are the different labels of the spans, sorted.
    """

    done: int = 0
    problems: int = 0
    digest: str = ""
    spans: int = 0
    labels: tuple[str, ...] = ()


class ResumableOutput:
    """Output of chunks of (name, content): a file of the contents, or a folder of files by name.

    `plan` has all settings that decide the output, besides the texts: a run is resumed only under
    the same plan. `progress` counts the texts that are written. With `convert`, the complete output
    is an intermediate file: `convert` is called with its path, and writes the final output.

    Raises:
        OptionError: there is an interrupted run and `resume` is False, or the other way round, or
            the plan was another.
        OutputError: the output exists already, cannot be written, or is being written by another
            process.
    """

    def __init__(
        self,
        path: Path,
        *,
        plan: Mapping[str, Any],
        is_folder: bool,
        resume: bool,
        overwrite: bool,
        begin: str = "",
        convert: Callable[[Path], None] | None = None,
    ) -> None:
        self._convert = convert
        self._path, self._plan, self._is_folder = path, dict(plan), is_folder
        self._overwrite = overwrite
        self._lock = OutputLock(path)
        self._lock.acquire()
        try:
            self._folder = partial_folder(path)
            self._output, self._state = self._folder / "output", self._folder / _STATE_FILE
            if resume:
                check_unfinished(path)
            if convert is None:
                _check_output_path(path, is_folder=is_folder, overwrite=overwrite)
            with as_output_error(path):
                self._check_not_foreign()
                self.progress, self._size = self._resume() if resume else self._begin(begin)
        except BaseException:
            self._lock.release()
            raise

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        """Write a chunk and flush it to disk, with the progress that it makes."""
        with as_output_error(self._path):
            if self._is_folder:
                for name, content in chunk:
                    target = self._output / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._size += _write_private(target, content)
            else:
                self._append(content for _, content in chunk)
            with atomic_file(self._state, overwrite=True, private=True) as new:
                new.write_text(self._state_json(progress, self._size), encoding="utf-8")
        self.progress = progress

    def finish(self) -> None:
        """Move the complete output to its place."""
        with as_output_error(self._path):
            if self._convert:
                self._convert(self._output)
            else:
                _check_output_path(self._path, is_folder=self._is_folder, overwrite=self._overwrite)
                make_public(self._output)
                durable_replace(self._output, self._path)
            remove_folder(self._folder)
        self._lock.release()

    def leave(self, *, discard: bool = False) -> bool:
        """Stop before the end, and return True if there is something to resume."""
        is_resumable = bool(self.progress.done) and not discard
        if not is_resumable:
            with suppress(OSError):
                remove_folder(self._folder)
        self._lock.release()
        return is_resumable

    def _append(self, contents: Iterable[str]) -> None:
        with self._output.open("ab") as file:
            if file.seek(0, os.SEEK_END) != self._size:
                raise OutputError(
                    f"{self._output} was changed by another program. Start again with --overwrite."
                )
            file.writelines(content.encode() for content in contents)
            self._size = file.tell()
            file.flush()
            os.fsync(file.fileno())

    def _check_not_foreign(self) -> None:
        """Raise an error if another program made the folder."""
        if not self._folder.exists() or self._state.is_file():
            return
        # A folder of temporary files alone was left by a run that was killed as it began.
        if not self._folder.is_dir() or any(
            not path.name.startswith(f".{_STATE_FILE}.") for path in self._folder.iterdir()
        ):
            raise OutputError(
                f"{self._folder} was not written by annoseq, which needs this name until the "
                "output is complete. Choose another name for --out, or move it."
            )

    def _begin(self, begin: str) -> tuple[OutputProgress, int]:
        """Make the folder, whole or not at all; return the progress and the size of the output."""
        if self._state.exists() and not self._overwrite:
            raise OptionError(
                f"{self._folder} is an interrupted run. Add --resume to go on with it, "
                "or --overwrite to start again."
            )
        if self._folder.exists():
            remove_folder(self._folder)
        progress, size = OutputProgress(), 0
        with atomic_folder(self._folder, overwrite=False, private=True) as new:
            if self._is_folder:
                (new / self._output.name).mkdir()
            else:
                size = _write_private(new / self._output.name, begin)
            _write_private(new / _STATE_FILE, self._state_json(progress, size))
        return progress, size

    def _resume(self) -> tuple[OutputProgress, int]:
        """Return the progress of the interrupted run and the size of its complete chunks."""
        if not self._state.exists():
            raise OptionError(
                f"there is no interrupted run at {self._folder}. Leave --resume off to begin one."
            )
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            begun, size = dict(state["plan"]), int(state["bytes"])
            done, problems, digest, spans, labels = state["progress"]
            progress = OutputProgress(
                int(done), int(problems), str(digest), int(spans), tuple(map(str, labels))
            )
        except (ValueError, KeyError, TypeError) as error:
            raise OptionError(
                f"{self._state} is damaged and cannot be resumed. "
                "Start again with --overwrite instead of --resume."
            ) from error
        for name, value in self._plan.items():
            if begun.get(name) != value:
                raise OptionError(
                    f"{self._folder} was begun with {name} {begun.get(name)!r}, and now it is "
                    f"{value!r}. Resume with the same options, or start again with --overwrite "
                    "instead of --resume."
                )
        # A kill in the middle of a chunk leaves more than the complete ones.
        if not self._output.exists() or _size(self._output) < size:
            raise OptionError(
                f"{self._output} is not whole and cannot be resumed. "
                "Start again with --overwrite instead of --resume."
            )
        if not self._is_folder:
            os.truncate(self._output, size)
        return progress, size

    def _state_json(self, progress: OutputProgress, size: int) -> str:
        return json.dumps({"plan": self._plan, "progress": progress, "bytes": size})


def partial_folder(path: Path) -> Path:
    """Return the folder of an output that is not complete."""
    return path.with_name(f"{path.name}.partial")


def check_unfinished(path: Path) -> None:
    """Raise an `OptionError` if a run that is to be resumed was finished."""
    check_has_name(path)
    folder = partial_folder(path)
    with as_output_error(path):
        is_finished = path.exists() and not (folder / "output").exists()
    if is_finished:
        raise OptionError(
            f"{path} is complete, so that there is nothing to resume. Leave --resume off; choose "
            "another name, or add --overwrite, to run again."
        )


def _check_output_path(path: Path, *, is_folder: bool, overwrite: bool) -> None:
    with as_output_error(path):
        is_taken = path.exists() if is_folder else path.is_dir()
    if is_taken:
        raise OutputError(f"{path} exists already. Choose another name, or remove it first.")
    check_writable(path, overwrite=overwrite)


def _write_private(path: Path, content: str) -> int:
    """Write a file that its owner alone may read; return its size in bytes."""
    with open(path, "wb", opener=_open_private) as file:
        return file.write(content.encode())


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _size(path: Path) -> int:
    """Return the size in bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
