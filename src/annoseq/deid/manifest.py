"""Manifest of redacted documents: ids, keyed hashes and statuses in an SQLite file, no text.

A document is done if it was redacted with the same texts, under the same settings. The hashes are
keyed, so that nobody can test without the key what the texts were.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from annoseq.atomic_io import atomic_file
from annoseq.errors import OptionError
from annoseq.output_lock import OutputLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from annoseq.deid.keyed_rng import KeyedRng
    from annoseq.deid.redaction import RedactionDocument

DocumentStatus = Literal["done", "skipped", "failed"]
"""Redacted in the last run; not redacted again because it was done before; left out because a part
of it could not be read."""
_FORMAT = 1
_SCHEMA = """
CREATE TABLE manifest (format INTEGER NOT NULL, key TEXT NOT NULL);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, date TEXT NOT NULL, settings TEXT NOT NULL, done INTEGER NOT NULL,
    skipped INTEGER NOT NULL, failed INTEGER NOT NULL
);
CREATE TABLE documents (
    document TEXT PRIMARY KEY, status TEXT NOT NULL, hash TEXT, run INTEGER REFERENCES runs
) WITHOUT ROWID;
"""
_PENDING = """
CREATE TEMP TABLE pending (document TEXT PRIMARY KEY, status TEXT NOT NULL, hash TEXT)
WITHOUT ROWID
"""
_MERGE = """
INSERT INTO documents (document, status, hash, run)
SELECT document, status, hash, CASE status WHEN 'done' THEN :run END FROM pending WHERE true
ON CONFLICT (document) DO UPDATE SET
    status = excluded.status,
    hash = excluded.hash,
    run = CASE excluded.status WHEN 'done' THEN excluded.run ELSE run END
"""


class RedactionManifest:
    """Documents of earlier runs, and those of this one; a context manager that holds a lock.

    The file is written by `commit` alone, whole or not at all: a run that ends before leaves it as
    it was. With `skips_done`, documents that are done are passed over. `settings` are those that
    decide the redacted texts.

    Raises:
        OptionError: the file is no manifest, or was made with another key.
        OutputError: another process uses it.
    """

    def __init__(
        self, path: Path, rng: KeyedRng, settings: Mapping[str, Any], *, skips_done: bool
    ) -> None:
        self._path, self._rng, self._skips_done = path, rng, skips_done
        self._settings = hashlib.sha256(
            json.dumps(settings, sort_keys=True, default=str).encode()
        ).hexdigest()
        self._lock = OutputLock(path)
        self._database = sqlite3.connect("")  # a temporary file, as large as it must be

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            if self._path.exists():
                self._load()
            else:
                self._database.executescript(_SCHEMA)
                row = (_FORMAT, self._rng.fingerprint)
                self._database.execute("INSERT INTO manifest VALUES (?, ?)", row)
            self._database.execute(_PENDING)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._lock.release()

    def _load(self) -> None:
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            ) as old:
                old.backup(self._database)
            row = self._database.execute("SELECT format, key FROM manifest").fetchone()
        except sqlite3.Error as error:
            raise OptionError(
                f"--manifest {self._path}: this is no manifest of `annoseq redact`. Name one, or a "
                "file that does not exist yet."
            ) from error
        if row is None or row[0] != _FORMAT:
            raise OptionError(
                f"--manifest {self._path}: it is of another version of annoseq. Begin a new one."
            )
        if row[1] != self._rng.fingerprint:
            raise OptionError(
                f"--manifest {self._path}: it was made with another key, and surrogates would not "
                "stay the same. Give the key of the earlier runs, or begin a new manifest."
            )

    @property
    def has_other_settings(self) -> bool:
        """True if the last run had other settings, so that its documents are done again."""
        last = self._database.execute("SELECT settings FROM runs ORDER BY run DESC").fetchone()
        return last is not None and last[0] != self._settings

    def select(
        self, documents: Iterable[RedactionDocument], *, on_skip: Callable[[int], None]
    ) -> Iterator[RedactionDocument]:
        """Yield the documents to redact; `on_skip` takes the number of texts of each other one.

        Raises:
            OptionError: a document has no id.
        """
        for document in documents:
            if not document.is_named:
                raise OptionError(
                    f"text {document.id} has no document id, and --manifest knows documents by "
                    "their ids. Name their column with --document."
                )
            digest = self._digest(document)
            row = self._database.execute(
                "SELECT hash FROM documents WHERE document = ?", (document.id,)
            ).fetchone()
            if self._skips_done and row is not None and row[0] == digest:
                self._mark(document.id, "skipped", digest)
                on_skip(len(document.parts))
                continue
            self._mark(document.id, "done", digest)
            yield document

    def mark_failed(self, document: str) -> None:
        """Record that a document, or a part of it, is left out: the next run tries it again."""
        self._database.execute(
            "INSERT OR REPLACE INTO pending VALUES (?, 'failed', NULL)", (document,)
        )

    def _mark(self, document: str, status: DocumentStatus, digest: str) -> None:
        self._database.execute(  # what failed stays so
            "INSERT OR IGNORE INTO pending VALUES (?, ?, ?)", (document, status, digest)
        )

    def counts(self) -> dict[DocumentStatus, int]:
        """Return the numbers of documents of this run by status."""
        rows = dict(
            self._database.execute(
                "SELECT status, count(*) FROM pending GROUP BY status"
            ).fetchall()
        )
        return {status: rows.get(status, 0) for status in get_args(DocumentStatus)}

    def commit(self) -> None:
        """Write the manifest with the documents of this run.

        Raises:
            OutputError: it cannot be written.
        """
        counts = self.counts()
        date = datetime.now(UTC).isoformat(timespec="seconds")
        run = self._database.execute(
            "INSERT INTO runs (date, settings, done, skipped, failed) VALUES (?, ?, ?, ?, ?)",
            (date, self._settings, *counts.values()),
        ).lastrowid
        self._database.execute(_MERGE, {"run": run})
        self._database.commit()
        with (
            atomic_file(self._path, overwrite=True, private=True) as new,
            closing(sqlite3.connect(new)) as written,
        ):
            self._database.backup(written)

    def _digest(self, document: RedactionDocument) -> str:
        texts = json.dumps([(part.text, part.kept) for part in document.parts], default=str)
        patient = document.patient or ""
        return self._rng.digest("document", self._settings, document.id, patient, texts).hex()
