"""The manifest of redacted documents: what is done, in hashes that need the key."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.manifest import RedactionManifest
from annoseq.errors import OptionError, OutputError
from tests.deid.documents import document

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.deid.redaction import RedactionDocument

RNG = KeyedRng(b"k" * 32)
DOCUMENTS = [document(f"text {name}", name=name) for name in "abc"]


def redact(
    path: Path,
    *documents: RedactionDocument,
    settings: dict[str, object] | None = None,
    skips_done: bool = True,
    failed: tuple[str, ...] = (),
    key: KeyedRng = RNG,
    commits: bool = True,
) -> tuple[list[str], list[int]]:
    """Return the ids of the documents to redact, and the counts by status."""
    manifest = RedactionManifest(path, key, settings or {}, skips_done=skips_done)
    with manifest:
        for name in failed:
            manifest.mark_failed(name)
        chosen = [one.id for one in manifest.select(documents, on_skip=lambda _: None)]
        if commits:
            manifest.commit()
        return chosen, list(manifest.counts().values())


def rows(path: Path) -> list[tuple[str, str, bool, int | None]]:
    """Return the documents of a manifest: id, status, if there is a hash, and run."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT document, status, hash IS NOT NULL, run FROM documents ORDER BY document"
        return database.execute(query).fetchall()


def test_what_is_done_is_skipped_and_what_is_new_or_changed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    assert redact(path, *DOCUMENTS[:2]) == (["a", "b"], [2, 0, 0])
    assert redact(path, *DOCUMENTS) == (["c"], [1, 2, 0])
    changed = document("other text", name="a")
    assert redact(path, changed, *DOCUMENTS[1:]) == (["a"], [1, 2, 0])
    assert rows(path) == [("a", "done", 1, 3), ("b", "skipped", 1, 1), ("c", "skipped", 1, 2)]
    assert redact(path, changed, *DOCUMENTS[1:], skips_done=False) == (["a", "b", "c"], [3, 0, 0])
    with closing(sqlite3.connect(path)) as database:
        counts = database.execute("SELECT done, skipped, failed FROM runs ORDER BY run").fetchall()
    assert counts == [(2, 0, 0), (1, 2, 0), (1, 2, 0), (3, 0, 0)]


def test_another_patient_column_or_setting_is_a_change_and_another_row_number_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.db"
    redact(path, DOCUMENTS[0])
    (part,) = DOCUMENTS[0].parts
    moved = replace(DOCUMENTS[0], parts=(replace(part, id="77"),))
    assert redact(path, moved)[0] == []
    for changed in (replace(part, patient="p"), replace(part, kept={"day": 1})):
        assert redact(path, replace(DOCUMENTS[0], parts=(changed,)), commits=False)[0] == ["a"]
    assert redact(path, DOCUMENTS[0], settings={"policy": "x"}, commits=False)[0] == ["a"]
    assert redact(path, DOCUMENTS[0])[0] == []


def test_other_settings_than_in_the_last_run_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with RedactionManifest(path, RNG, {"a": 1}, skips_done=True) as manifest:
        assert not manifest.has_other_settings
        manifest.commit()
    for settings, is_other in (({"a": 1}, False), ({"a": 2}, True)):
        with RedactionManifest(path, RNG, settings, skips_done=True) as manifest:
            assert manifest.has_other_settings is is_other


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    redact(path, DOCUMENTS[0])
    assert redact(path, failed=("a", "z"))[1] == [0, 0, 2]
    assert rows(path) == [("a", "failed", 0, 1), ("z", "failed", 0, None)]
    assert redact(path, DOCUMENTS[0], failed=("a",)) == (["a"], [0, 0, 1])  # a part of it failed
    assert redact(path, DOCUMENTS[0]) == (["a"], [1, 0, 0])


def test_a_run_that_ends_early_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    redact(path, DOCUMENTS[0], commits=False)
    assert not path.exists()
    redact(path, DOCUMENTS[0])
    before = path.read_bytes()
    redact(path, *DOCUMENTS, commits=False)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.db"]


def test_the_file_has_no_text_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    redact(path, document("Xanthippe came", name="a"))
    assert b"Xanthippe" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    hashes = []
    for number in (1, 2):
        other = tmp_path / f"{number}.db"
        redact(other, DOCUMENTS[0], key=KeyedRng(bytes([number]) * 32))
        with closing(sqlite3.connect(other)) as database:
            hashes += database.execute("SELECT hash FROM documents").fetchone()
    assert hashes[0] != hashes[1]


def test_a_manifest_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    redact(path, DOCUMENTS[0])
    with pytest.raises(OptionError, match=r"m.db: it was made with another key, and surrogates"):
        redact(path, key=KeyedRng(b"x" * 32))
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE manifest SET format = 9")
        database.commit()
    with pytest.raises(OptionError, match=r"m.db: it is of another version of annoseq. Begin"):
        redact(path)
    for content in (b"doc_id,orig_text\n" * 99, b""):
        path.write_bytes(content)
        with pytest.raises(OptionError, match=r"m.db: this is no manifest of `annoseq redact`"):
            redact(path)
    nameless = replace(DOCUMENTS[0], id="4", is_named=False)
    with pytest.raises(OptionError, match=r"text 4 has no document id, and --manifest knows"):
        redact(tmp_path / "new.db", nameless)


def test_one_process_or_thread_at_a_time_has_a_manifest(tmp_path: Path) -> None:
    from threading import Thread

    path = tmp_path / "m.db"
    caught: list[BaseException] = []

    def other() -> None:
        try:
            redact(path)
        except OutputError as error:
            caught.append(error)

    with RedactionManifest(path, RNG, {}, skips_done=True):
        thread = Thread(target=other)
        thread.start()
        thread.join()
    assert [str(error).startswith(f"{path} is being written by") for error in caught] == [True]
    assert redact(path, DOCUMENTS[0])[0] == ["a"]
