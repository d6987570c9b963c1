"""An output that grows chunk by chunk, survives being killed, and appears only when complete.

Beside `NAME` there is, until the end, the folder `NAME.partial`: `output` (a file, or a folder of
files) and `state.json`, which says how much of `output` is certain and what it was made with.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from annoseq.errors import OptionError, OutputError
from annoseq.files import explained, refuse_existing, replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class ResumableOutput:
    """Takes chunks of (name, content); a file holds the contents, a folder a file for each name.

    `plan` is all that decides the output: a run is resumed only under the same plan. `done` counts
    the texts that are certain.

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
    ) -> None:
        _refuse(path, is_folder=is_folder, overwrite=overwrite)
        self._path, self._plan, self._is_folder = path, dict(plan), is_folder
        self._overwrite = overwrite
        self._folder = path.with_name(f"{path.name}.partial")
        self._output, self._state = self._folder / "output", self._folder / "state.json"
        with explained(path):
            if resume:
                self.done = self._resume()
            else:
                self.done = 0
                self._begin(begin)

    def add(self, chunk: Sequence[tuple[str, str]], *, done: int) -> None:
        """Write a chunk for good; `done` texts are certain afterwards."""
        with explained(self._path):
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
            self.done = done
            self._write_state()

    def finish(self) -> None:
        """Put the complete output in its place."""
        with explained(self._path):
            _refuse(self._path, is_folder=self._is_folder, overwrite=self._overwrite)
            self._output.replace(self._path)
            shutil.rmtree(self._folder)

    def _begin(self, begin: str) -> None:
        if self._folder.exists() and not self._overwrite:
            raise OptionError(
                f"{self._folder} is an interrupted run. Add --resume to go on with it, "
                "or --overwrite to start again."
            )
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if self._is_folder:
            self._output.mkdir()
        else:
            self._output.write_bytes(begin.encode())
        self._write_state()

    def _resume(self) -> int:
        if not self._state.exists():
            raise OptionError(
                f"there is no interrupted run at {self._folder}. Start without --resume."
            )
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            begun, done, size = dict(state["plan"]), int(state["done"]), int(state["bytes"])
        except (ValueError, KeyError, TypeError) as error:
            raise OptionError(
                f"{self._state} is damaged. Delete {self._folder} and start again."
            ) from error
        for name, value in self._plan.items():
            if begun.get(name) != value:
                raise OptionError(
                    f"{self._folder} was begun with {name} {begun.get(name)!r}, not {value!r}. "
                    "Resume with the same options, or add --overwrite without --resume."
                )
        if not self._is_folder:
            if self._output.stat().st_size < size:
                raise OutputError(f"{self._output} was cut off. Delete {self._folder}.")
            os.truncate(self._output, size)
        return done

    def _write_state(self) -> None:
        size = 0 if self._is_folder else self._output.stat().st_size
        state = {"plan": self._plan, "done": self.done, "bytes": size}
        with replacing(self._state, overwrite=True) as new:
            new.write_text(json.dumps(state), encoding="utf-8")


def _refuse(path: Path, *, is_folder: bool, overwrite: bool) -> None:
    if is_folder and path.exists():
        raise OutputError(f"{path} exists already. Choose another name, or remove it first.")
    refuse_existing(path, overwrite=overwrite)
