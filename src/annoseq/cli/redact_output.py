"""Options of the output of `annoseq redact`, and the checks of its paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.atomic_io import check_folder_writable, check_writable
from annoseq.cli.options import ByteOrderMark, Overwrite, to_path
from annoseq.data.streams import is_standard_input
from annoseq.data.tables import table_format
from annoseq.errors import OptionError, TableError
from annoseq.inference.resumable_output import check_unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.cli.redact_options import RedactionOptions
    from annoseq.deid.run_output import OutputLayout

_FILE_ONLY = {"parquet": "a Parquet table", "xlsx": "an Excel workbook"}
"""Table formats that cannot be written to a stream."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOutputOptions:
    """Options of the output of `annoseq redact`."""

    out: Annotated[
        Path,
        Parameter(
            help="Folder to write: the texts as they came, annotations.jsonl, report.json; or - "
            "for the redacted text or table alone on standard output.",
            allow_leading_hyphen=True,
            converter=to_path,
        ),
    ]
    mapping: Annotated[
        Path | None,
        Parameter(help="File to write what was replaced with what; it undoes the redaction."),
    ] = None
    audit_log: Annotated[
        Path | None,
        Parameter(help="JSON file to write: policy, target, counts and hashes, no text."),
    ] = None
    manifest: Annotated[
        Path | None,
        Parameter(
            help="SQLite file of the documents that are done, by id and keyed hash; needs --key."
        ),
    ] = None
    only_new: Annotated[
        bool,
        Parameter(
            help="Leave out what the manifest says is done; what has changed is done again.",
            negative="",
        ),
    ] = False
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted run of --out.", negative="")
    ] = False
    bom: ByteOrderMark = False
    overwrite: Overwrite = False

    @property
    def is_stream(self) -> bool:
        """True if the output is standard output."""
        return str(self.out) == "-"

    def plan(self) -> dict[str, Any]:
        """Return what decides the output: a run is resumed only under the same."""
        return {
            "mapping": self.mapping is not None,
            "manifest": self.manifest and str(self.manifest),
            "only_new": self.only_new,
        }

    def check(
        self, layout: OutputLayout, redaction: RedactionOptions, inputs: Sequence[Path | None]
    ) -> None:
        """Check before the work that the output can be written and replaces no input.

        Raises:
            OptionError: options contradict each other, or a path contains another.
            OutputError: the output exists and may not be overwritten, or cannot be written.
        """
        if self.bom:
            layout.check_bom()
        if self.is_stream:
            self._check_stream(layout)
        if self.resume and redaction.has_forgotten_key:
            raise OptionError(
                "--resume needs the secret of the interrupted run, which is forgotten unless it "
                "is in a file. Give --key FILE, or start again with --overwrite instead of "
                "--resume."
            )
        self._check_manifest(redaction, inputs)
        files = {
            "--mapping": self.mapping,
            "--audit-log": self.audit_log,
            "--manifest": self.manifest,
        }
        _check_apart(None if self.is_stream else self.out, files, inputs)
        if self.resume:
            check_unfinished(self.out)
        if not self.is_stream:
            check_folder_writable(self.out, overwrite=self.overwrite)
            _check_folder_name(self.out)
        for file in (self.mapping, self.audit_log):
            if file:
                check_writable(file, overwrite=self.overwrite)
        if self.manifest:
            check_writable(self.manifest, overwrite=True)

    def check_folder(self, redaction: RedactionOptions, *, has_gold: bool) -> None:
        """Check before the work that parts of a folder can be redacted under these options.

        Raises:
            OptionError: they cannot.
        """
        given = {
            "--mapping": self.mapping,
            "--audit-log": self.audit_log,
            "--manifest": self.manifest,
            "--gold": has_gold,
        }
        for name, value in given.items():
            if value:
                raise OptionError(
                    f"{name} is for one input, and a folder of parts is read, whose manifest is in "
                    "--out. Leave it off, or give one table."
                )
        if redaction.has_forgotten_key:
            raise OptionError(
                "surrogates in a folder of parts need one secret for all workers and runs. Give "
                "--key FILE."
            )

    def _check_manifest(self, redaction: RedactionOptions, inputs: Sequence[Path | None]) -> None:
        if self.manifest is None:
            if self.only_new:
                raise OptionError(
                    "--only-new leaves out what is done, and --manifest says what that is. Give "
                    "--manifest FILE; it need not exist yet."
                )
            return
        if redaction.key is None:
            raise OptionError(
                "--manifest holds keyed hashes of the texts, and surrogates stay the same only by "
                "a key. Give --key FILE."
            )
        if self.is_stream or any(map(is_standard_input, filter(None, inputs))):
            raise OptionError(
                "--manifest is for files and folders: nobody can tell what became of a stream. "
                "Name an input and a folder with --out, or leave it off."
            )

    def _check_stream(self, layout: OutputLayout) -> None:
        if self.resume:
            raise OptionError(
                "--resume goes on with the interrupted run of a folder, and --out - is a stream. "
                "Leave --resume off."
            )
        if layout.name is None:
            raise OptionError(
                "--out - is one stream, and the input is a folder of texts. Name a folder with "
                "--out."
            )
        if layout.column is not None and layout.table_format in _FILE_ONLY:
            raise OptionError(
                f"--out - is a stream, and {_FILE_ONLY[layout.table_format]} is a file. Name a "
                "folder with --out."
            )


def _check_folder_name(out: Path) -> None:
    """Check that an output folder is not named as a table.

    Raises:
        OptionError: its suffix is that of a table.
    """
    try:
        table_format(out)
    except TableError:
        return
    raise OptionError(
        f"--out {out} is the name of a table, and this command writes a folder: the redacted table "
        "has the name and the format of the input. Name a folder."
    )


def _check_apart(
    out: Path | None, files: Mapping[str, Path | None], inputs: Sequence[Path | None]
) -> None:
    """Check that the output replaces no input and contains no other file of the run.

    `files` are those by option that are written beside the output.

    Raises:
        OptionError: one path of the command contains another.
    """
    folder = out.resolve() if out else None
    written = {option: path.resolve() for option, path in files.items() if path}
    for path in inputs:
        if path is None or is_standard_input(path):
            continue
        resolved = path.resolve()
        if folder and (folder.is_relative_to(resolved) or resolved.is_relative_to(folder)):
            raise OptionError(
                f"--out {out} and {path}, which is read, lie in each other. Name a folder apart."
            )
        for option, file in written.items():
            if file in {resolved, *resolved.parents}:
                raise OptionError(
                    f"{option} {files[option]} is read by this command. Choose another name."
                )
    if len(set(written.values())) < len(written):
        raise OptionError(f"{' and '.join(written)} name one file. Give each its own.")
    for option, file in written.items():
        if folder and file.is_relative_to(folder):
            reason = (
                "it undoes the redaction" if option == "--mapping" else "that is written as a whole"
            )
            raise OptionError(
                f"{option} {files[option]} is inside --out {out}, and {reason}. Keep it elsewhere."
            )
