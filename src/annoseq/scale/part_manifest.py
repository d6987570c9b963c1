"""Manifest of a folder run: which parts are done, from what input, by which model and options.

    OUT/config.json           options of the run and their digest
    OUT/parts/NAME            outputs, a file for each part
    OUT/annotations/NAME      offsets and labels of what redaction replaced
    OUT/errors/NAME           texts and files that failed: id and reason, never text
    OUT/manifest/NAME.json    a record for each part that is done

A record is written after the outputs of its part, each atomically, so that what has a record is
whole. One file for each part lets workers on many machines write to any filesystem without a lock,
and needs no column of ids. No record holds text.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from annoseq._version import __version__
from annoseq.data.filesystems import (
    StoredFile,
    atomic_output,
    delete_files,
    join_address,
    list_files,
    open_input,
    stat_file,
)
from annoseq.errors import OptionError, OutputError, TableError
from annoseq.scale.parts import part_stem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from annoseq.scale.parts import InputPart

CONFIG_FILE, REPORT_FILE = "config.json", "report.json"
_RECORD_SUFFIX = ".json"
_READERS = 16
"""Threads that read or write records: on an object store each waits for a round trip."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """Record of a part that is done: input, run, output and counts.

    `sha256`, `size` and `modified` are those of the input, `run` is the digest of model and
    options, empty if the part is to be done again. A part that was left out for `--skip-bad` has a
    reason in `skipped`, and no output.
    """

    name: str
    size: int
    modified: int
    sha256: str
    run: str
    output: str
    output_size: int
    texts: int = 0
    errors: int = 0
    spans: int = 0
    problems: int = 0
    labels: tuple[str, ...] = ()
    skipped: str | None = None
    report: dict[str, Any] | None = None

    def is_of(self, part: InputPart) -> bool:
        """Return True if the part has the size and time of change that it had."""
        return (self.size, self.modified) == (part.size, part.modified)


@dataclass(frozen=True)
class RunFolder:
    """Output folder of a run, local or remote."""

    address: str

    def config(self) -> dict[str, Any] | None:
        """Return the options that the folder was written with, None if there is no folder.

        Raises:
            OutputError: the folder was written by another program.
        """
        address = self._at(CONFIG_FILE)
        if stat_file(address) is None:
            if self._files(""):
                raise OutputError(
                    f"{self.address} was not written by a run over parts, and has files in it. "
                    "Choose another name for --out."
                )
            return None
        try:
            config = json.loads(_read(address))
            return {"run": str(config["run"]), "plan": dict(config["plan"])}
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{address} is damaged, or was not written by a run over parts. Choose another "
                "name for --out, or remove the folder."
            ) from error

    def write_config(self, plan: Mapping[str, Any]) -> None:
        """Write the options of the run."""
        self.write_json(CONFIG_FILE, {"annoseq": __version__, "run": digest(plan), "plan": plan})

    def records(self) -> dict[str, PartRecord]:
        """Return the records of all parts that are done, by name; damaged ones are not done."""
        names = [file.name for file in self._files("manifest")]
        with ThreadPoolExecutor(_READERS) as readers:
            found = readers.map(self._read_record, names)
            return {record.name: record for record in found if record is not None}

    def record(self, name: str) -> PartRecord | None:
        """Return the record of a part, None if it is not done."""
        return self._read_record(name + _RECORD_SUFFIX)

    def has_texts(self, record: PartRecord | None, *, checksum: str) -> bool:
        """Return True if texts of an input of that checksum are there, as written or not."""
        if record is None or record.sha256 != checksum or not record.texts:
            return False
        return stat_file(self._at(record.output)) is not None

    def is_whole(self, record: PartRecord) -> bool:
        """Return True if the output of a part is as it was written, or it has none."""
        if not record.output:
            return True
        found = stat_file(self._at(record.output))
        return found is not None and found[0] == record.output_size

    def write_record(self, record: PartRecord) -> None:
        """Write that a part is done: the last step of its work."""
        self.write_json(_record_name(record.name), asdict(record))

    def outputs(self) -> dict[str, int]:
        """Return the sizes of the outputs that are there, by their path in the folder."""
        return {f"parts/{file.name}": file.size for file in self._files("parts")}

    def supersede_records(self, run: str) -> None:
        """Take the records of a run for those of an earlier one, so that it does every part again.

        They still tell what their parts wrote, which stays until there is something newer.
        """
        found = [replace(record, run="") for record in self.records().values() if record.run == run]
        with ThreadPoolExecutor(_READERS) as writers:
            list(writers.map(self.write_record, found))

    def remove_orphans(self, names: Collection[str]) -> int:
        """Remove the outputs of parts but those of some names, and return their number.

        An output that is not as it was written stays, and so does what belongs to it, but for the
        record.
        """
        sizes, removed = self.outputs(), 0
        for record in self.records().values():
            is_whole = not record.output or sizes.get(record.output) == record.output_size
            if record.name in names:
                continue
            if is_whole:
                self.remove_part(record.name, record.output)
                removed += 1
            else:
                self.delete(_record_name(record.name))
        return removed

    def remove_part(self, name: str, *outputs: str) -> None:
        """Delete the record of a part, its outputs, and the annotations and errors beside them."""
        stem = part_stem(name)
        beside = (f"annotations/{stem}.jsonl", f"errors/{stem}.jsonl")
        for file in (_record_name(name), *outputs, *beside):
            if file:
                self.delete(file)

    def delete(self, name: str) -> None:
        """Delete a file of the folder, if it is there."""
        delete_files(self._at(name))

    def address_of(self, name: str) -> str:
        """Return the address of a file of the folder."""
        return self._at(name)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the folder."""
        with atomic_output(self._at(name)) as stream:
            text = json.dumps(content, indent=1, ensure_ascii=False)
            stream.write((text + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file of the folder, nothing if it is not there."""
        try:
            return dict(json.loads(_read(self._at(name))))
        except (ValueError, FileNotFoundError):
            return {}

    def _read_record(self, file: str) -> PartRecord | None:
        values = self.read_json(f"manifest/{file}")
        try:
            return PartRecord(**{**values, "labels": tuple(values["labels"])})
        except (KeyError, TypeError):
            return None

    def _files(self, folder: str) -> list[StoredFile]:
        try:
            return list_files(self._at(folder) if folder else self.address)[1]
        except TableError:
            return []

    def _at(self, name: str) -> str:
        return join_address(self.address, name)


def digest(plan: Mapping[str, Any]) -> str:
    """Return the fingerprint of model and options, which decide the output of a part."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def check_same_plan(folder: str, before: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Check that a folder was begun with the same model and options.

    Raises:
        OptionError: they differ; the message names the first that does.
    """
    for name, value in json.loads(json.dumps(plan)).items():
        if before.get(name) != value:
            raise OptionError(
                f"{folder} was begun with {name} {before.get(name)!r}, and now it is {value!r}. "
                "Give the same options to go on, --only-new to leave what is done as it is, or "
                "--overwrite to do all parts again."
            )


def total_counts(records: Iterable[PartRecord]) -> dict[str, int]:
    """Return the sums of texts, spans, problems and errors, and the number of parts left out."""
    totals = dict.fromkeys(("texts", "spans", "problems", "errors", "skipped"), 0)
    for record in records:
        for name in ("texts", "spans", "problems", "errors"):
            totals[name] += getattr(record, name)
        totals["skipped"] += record.skipped is not None
    return totals


def _record_name(part: str) -> str:
    return f"manifest/{part}{_RECORD_SUFFIX}"


def _read(address: str) -> bytes:
    with open_input(address) as stream:
        return stream.read()
