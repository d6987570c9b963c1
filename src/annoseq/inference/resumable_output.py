"""An output that grows chunk by chunk, survives being killed, and appears only when complete.

Beside `NAME` there is, until the end, the folder `NAME.partial`: `output` (a file, or a folder of
files) and `state.json`, which says how much of `output` is certain and what it was made with.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.atomic_io import as_output_error, atomic_file, check_writable, durable_replace
from annoseq.errors import OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class OutputProgress(NamedTuple):
    """How many texts are done, how many of their outputs have a problem, and which texts."""

    done: int = 0
    problems: int = 0
    digest: str = ""


class ResumableOutput:
    """Takes chunks of (name, content); a file holds the contents, a folder a file for each name.

    `plan` is all that decides the output, besides the texts: a run is resumed only under the same
    plan. `tally` counts the texts that are certain. Where the complete output is only read to make
    another, `convert` is called with its path, and puts that in its place.

    Raises:
        OptionError: there is an interrupted run and `resume` is False, or the other way round, or
            the plan was another.
        OutputError: the output exists already, or cannot be written.
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
        if convert is None:
            _refuse(path, is_folder=is_folder, overwrite=overwrite)
        self._path, self._plan, self._is_folder = path, dict(plan), is_folder
        self._overwrite = overwrite
        self._folder = path.with_name(f"{path.name}.partial")
        self._output, self._state = self._folder / "output", self._folder / "state.json"
        with as_output_error(path):
            self._spare_foreign()
            if resume:
                self.tally = self._resume()
            else:
                self.tally = OutputProgress()
                self._begin(begin.encode())

    def add(self, chunk: Sequence[tuple[str, str]], tally: OutputProgress) -> None:
        """Write a chunk for good; the texts of `tally` are certain afterwards."""
        with as_output_error(self._path):
            if self._is_folder:
                for name, content in chunk:
                    target = self._output / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.encode())
            else:
                with self._output.open("ab") as file:
                    file.writelines(content.encode() for _, content in chunk)
                    file.flush()
                    os.fsync(file.fileno())
            self._write_state(tally, size=0 if self._is_folder else self._output.stat().st_size)
        self.tally = tally

    def finish(self) -> None:
        """Put the complete output in its place."""
        with as_output_error(self._path):
            if self._convert:
                self._convert(self._output)
            else:
                _refuse(self._path, is_folder=self._is_folder, overwrite=self._overwrite)
                durable_replace(self._output, self._path)
            shutil.rmtree(self._folder)

    def leave(self, *, discard: bool = False) -> bool:
        """Stop before the end, and return True if there is something to resume."""
        is_resumable = bool(self.tally.done) and not discard
        if not is_resumable:
            shutil.rmtree(self._folder, ignore_errors=True)
        return is_resumable

    def _spare_foreign(self) -> None:
        """Raise if something else has the name of the folder."""
        is_empty = self._folder.is_dir() and not any(self._folder.iterdir())
        if self._folder.exists() and not is_empty and not self._state.is_file():
            raise OutputError(
                f"{self._folder} was not written by annoseq, which needs this name until the "
                "output is complete. Choose another name for --out, or move it."
            )

    def _begin(self, begin: bytes) -> None:
        if self._state.exists() and not self._overwrite:
            raise OptionError(
                f"{self._folder} is an interrupted run. Add --resume to go on with it, "
                "or --overwrite to start again."
            )
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._folder.mkdir()
        try:
            self._write_state(self.tally, size=len(begin))
            if self._is_folder:
                self._output.mkdir()
            else:
                self._output.write_bytes(begin)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _resume(self) -> OutputProgress:
        if not self._state.exists():
            raise OptionError(
                f"there is no interrupted run at {self._folder}. Leave --resume off to begin one."
            )
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            begun, size = dict(state["plan"]), int(state["bytes"])
            done, problems, digest = state["tally"]
            tally = OutputProgress(int(done), int(problems), str(digest))
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
        if not self._output.exists() or (
            not self._is_folder and self._output.stat().st_size < size
        ):
            raise OptionError(
                f"{self._output} is not whole and cannot be resumed. "
                "Start again with --overwrite instead of --resume."
            )
        if not self._is_folder:
            os.truncate(self._output, size)
        return tally

    def _write_state(self, tally: OutputProgress, *, size: int) -> None:
        state = {"plan": self._plan, "tally": tally, "bytes": size}
        with atomic_file(self._state, overwrite=True) as new:
            new.write_text(json.dumps(state), encoding="utf-8")


def _refuse(path: Path, *, is_folder: bool, overwrite: bool) -> None:
    with as_output_error(path):
        is_taken = path.exists() if is_folder else path.is_dir()
    if is_taken:
        raise OutputError(f"{path} exists already. Choose another name, or remove it first.")
    check_writable(path, overwrite=overwrite)
