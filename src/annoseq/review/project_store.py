"""Review project on disk: an SQLite file with the documents, predictions and the log of actions.

The log is only ever appended to, and each action is one transaction that is flushed to the disk
before it is answered (journal mode WAL, synchronous FULL), so that a killed process loses nothing.
The file holds texts and can be read by its owner alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from annoseq.errors import OutputError, ReviewError
from annoseq.review.actions import LOGGED_ACTION
from annoseq.review.project_records import (
    Adjudication,
    DocumentPrediction,
    LogEntry,
    ModelRecord,
    document_from_row,
    document_to_row,
    now,
    spans_from_json,
    spans_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from annoseq.review.project_records import ReviewDocument

_FORMAT = 1
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, row INTEGER NOT NULL, doc_id TEXT, start INTEGER,
    text TEXT NOT NULL, gold TEXT, suspected TEXT NOT NULL, rank INTEGER NOT NULL,
    random_share INTEGER NOT NULL);
CREATE TABLE models (number INTEGER PRIMARY KEY, path TEXT NOT NULL, at TEXT NOT NULL, gain TEXT);
CREATE TABLE predictions (
    model INTEGER NOT NULL, document INTEGER NOT NULL, spans TEXT NOT NULL,
    uncertainty REAL NOT NULL, leak REAL, PRIMARY KEY (model, document)) WITHOUT ROWID;
CREATE TABLE log (
    id INTEGER PRIMARY KEY, step INTEGER NOT NULL, document INTEGER NOT NULL,
    reviewer TEXT NOT NULL, at TEXT NOT NULL, model INTEGER NOT NULL, action TEXT NOT NULL,
    key TEXT);
CREATE TABLE adjudications (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, reviewer TEXT NOT NULL, at TEXT NOT NULL,
    spans TEXT NOT NULL);
"""


class ProjectStore:
    """The tables of a project. It may be used by several threads of one process."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def create(cls, path: Path) -> ProjectStore:
        """Make an empty file for a project, which its owner alone may read.

        A file that has something in it is left as it is.

        Raises:
            OutputError: it cannot be written.
            ReviewError: it is no database.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror}. Choose a folder that exists and is "
                "writable."
            ) from error
        store = cls._connect(path)
        if store.is_empty:
            store._prepare()
        return store

    @classmethod
    def open(cls, path: Path) -> ProjectStore:
        """Open the file of a project.

        Raises:
            ReviewError: there is none, or it is no complete project of this version.
        """
        if not path.is_file():
            raise ReviewError(
                f"{path}: there is no such project. `annoseq review PAIRS --model MODEL --project "
                f"{path.name}` makes one."
            )
        store = cls._connect(path)
        if not store.is_complete:
            store.close()
            raise ReviewError(
                f"{path} is no complete review project. Delete it if its making was interrupted, "
                "and make the project again."
            )
        store._prepare()
        return store

    @classmethod
    def _connect(cls, path: Path) -> ProjectStore:
        return cls(path, sqlite3.connect(path, check_same_thread=False, isolation_level=None))

    def _prepare(self) -> None:
        """Make a file that is known to be a project private and durable."""
        self.path.chmod(0o600)
        with self._errors():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")

    @property
    def is_complete(self) -> bool:
        """True if the project was made to its end, by this version of the format."""
        with self._errors():
            tables = self._connection.execute("SELECT name FROM sqlite_master").fetchall()
        return ("meta",) in tables and self.meta("format") == _FORMAT

    @property
    def is_empty(self) -> bool:
        """True if nothing was written yet, or the making of the project was interrupted."""
        return not self._query("SELECT name FROM sqlite_master")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"{self.path} cannot be read or written: {error}. Nothing was changed; check the "
                "room on the disk and that no other program has the file open."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ReviewError(
                f"{self.path} is no review project, or is damaged. Name a file that `annoseq "
                "review` made."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within a transaction, which is on the disk when the block ends."""
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._errors():
            return self._connection.execute(sql, values).fetchall()

    def fill(
        self,
        meta: dict[str, Any],
        documents: Iterable[ReviewDocument],
        *,
        model: str,
        predictions: Sequence[DocumentPrediction],
    ) -> None:
        """Write everything that a project begins with, at once."""
        with self._transaction() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.executemany(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(document_to_row, documents),
            )
            connection.execute("INSERT INTO models VALUES (1, ?, ?, NULL)", (model, now()))
            _insert_predictions(connection, 1, dict(enumerate(predictions, start=1)))
            rows = [(key, json.dumps(value)) for key, value in meta.items()]
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", [*rows, ("format", json.dumps(_FORMAT))]
            )

    def meta(self, key: str) -> Any:
        """Return a fact of the project, None if it is not there."""
        rows = self._query("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: Any) -> None:
        """Replace a fact of the project, or add it."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value))
            )

    def documents(self) -> Iterator[ReviewDocument]:
        """Yield all documents in their order."""
        for (id_,) in self._query("SELECT id FROM documents ORDER BY id"):
            yield self.document(id_)

    def document(self, id_: int) -> ReviewDocument:
        """Return a document.

        Raises:
            ReviewError: there is none of this number.
        """
        rows = self._query("SELECT * FROM documents WHERE id = ?", id_)
        if not rows:
            raise ReviewError(f"the project has no document {id_}. Load the queue again.")
        return document_from_row(rows[0])

    def models(self) -> list[ModelRecord]:
        """Return the models, the first one first; the last one is in use."""
        return [
            ModelRecord(number, path, at, None if gain is None else json.loads(gain))
            for number, path, at, gain in self._query("SELECT * FROM models ORDER BY number")
        ]

    def add_model(
        self, path: str, gain: Mapping[str, Any] | None, predictions: dict[int, DocumentPrediction]
    ) -> int:
        """Add a model with its predictions by document, and return its number."""
        with self._transaction() as connection:
            (last,) = connection.execute("SELECT max(number) FROM models").fetchone()
            connection.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?)",
                (last + 1, path, now(), None if gain is None else json.dumps({**gain})),
            )
            _insert_predictions(connection, last + 1, predictions)
        return int(last + 1)

    def predictions(self, model: int) -> dict[int, DocumentPrediction]:
        """Return the predictions of a model by document."""
        rows = self._query(
            "SELECT document, spans, uncertainty, leak FROM predictions WHERE model = ?", model
        )
        return {
            id_: DocumentPrediction(spans_from_json(spans), uncertainty, leak)
            for id_, spans, uncertainty, leak in rows
        }

    def log(self) -> list[LogEntry]:
        """Return the log, the first action first."""
        rows = self._query(
            "SELECT step, document, reviewer, at, model, action, key FROM log ORDER BY id"
        )
        return [
            LogEntry(step, document, reviewer, at, model, LOGGED_ACTION.validate_json(action), key)
            for step, document, reviewer, at, model, action, key in rows
        ]

    def next_step(self) -> int:
        """Return the number of the next step: that of its first entry in the log."""
        ((last,),) = self._query("SELECT max(id) FROM log")
        return 1 if last is None else int(last) + 1

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Append the entries of a step, all of them or none."""
        rows = [(*entry[:5], entry.action.model_dump_json(), entry.key) for entry in entries]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO log (step, document, reviewer, at, model, action, key) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def adjudications(self) -> dict[int, Adjudication]:
        """Return the last adjudication of each document that has one."""
        rows = self._query("SELECT document, reviewer, at, spans FROM adjudications ORDER BY id")
        return {
            document: Adjudication(document, reviewer, at, spans_from_json(spans))
            for document, reviewer, at, spans in rows
        }

    def adjudicate(self, adjudication: Adjudication) -> None:
        """Add an adjudication."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO adjudications (document, reviewer, at, spans) VALUES (?, ?, ?, ?)",
                (*adjudication[:3], spans_to_json(adjudication.spans)),
            )


def _insert_predictions(
    connection: sqlite3.Connection, model: int, predictions: dict[int, DocumentPrediction]
) -> None:
    connection.executemany(
        "INSERT INTO predictions VALUES (?, ?, ?, ?, ?)",
        [
            (model, id_, spans_to_json(prediction.spans), prediction.uncertainty, prediction.leak)
            for id_, prediction in predictions.items()
        ],
    )
