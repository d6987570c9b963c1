from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from annoseq.config import ReviewConfig
from annoseq.errors import AnnoseqError, OptionError, PairsError, ReviewError
from annoseq.review.project_setup import ProjectPlan, has_project, make_project, open_project
from annoseq.review.project_store import ProjectStore
from tests.review.annotators import word_annotator
from tests.review.projects import AMES, TEXT, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.review.project_input import InputRow

ROWS = rows_of([TEXT, TEXT])


def plan(rows: list[InputRow], folder: Path) -> ProjectPlan:
    return ProjectPlan("notes.csv", rows, ReviewConfig(), model=folder / "model")


def test_a_project_is_made_once_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    assert not has_project(path)
    made = make_project(path, plan(ROWS, tmp_path), word_annotator("Ames", has_marginals=True))
    assert has_project(path)
    again = open_project(path, rows=ROWS, model=tmp_path / "model", design=ReviewConfig())
    assert again.documents == made.documents
    assert again.title == "notes.csv"
    assert again.first_labels == ["NAME"]
    assert again.prediction(1).leak == pytest.approx(1.0)
    assert [document.in_random_share for document in again.documents.values()].count(True) == 1


def test_what_is_given_must_be_what_the_project_was_made_of(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    make_project(path, plan(ROWS, tmp_path), word_annotator("Ames"))
    with pytest.raises(ReviewError) as error:
        open_project(path, rows=rows_of([TEXT]))
    assert str(error.value) == (
        f"{path} was made of other texts. Leave them off to go on with it, or choose another name "
        "with --project."
    )
    with pytest.raises(ReviewError, match=r"was made with another model\. Leave --model off"):
        open_project(path, model=tmp_path / "other")
    with pytest.raises(ReviewError, match="was made with another --random-share"):
        open_project(path, design=ReviewConfig(random_share=0.5))


def test_the_making_of_a_project_that_was_interrupted_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    ProjectStore.create(path).close()
    assert not has_project(path)
    make_project(path, plan(ROWS, tmp_path), word_annotator("Ames"))
    assert has_project(path)


def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    make_project(path, plan(ROWS, tmp_path), word_annotator("Ames"))
    with pytest.raises(ReviewError, match="holds something else than a review project"):
        make_project(path, plan(ROWS, tmp_path), word_annotator("Ames"))


def test_an_audit_needs_pairs_and_no_model(tmp_path: Path) -> None:
    audit = tmp_path / "audit.csv"
    audit.write_text(
        "row,doc_id,start,end,label,problem,suggested_start,suggested_end,suggested_label,score\n"
        "1,doc-1,,,,missed,22,26,NAME,0.8\n"
    )
    texts = ProjectPlan("notes.csv", ROWS, ReviewConfig(), audit=audit)
    with pytest.raises(OptionError, match="--audit is the audit of pairs"):
        texts.check()
    pairs = ProjectPlan("p.csv", rows_of([TEXT], [(AMES,)]), ReviewConfig(), audit=audit)
    project = make_project(tmp_path / "review.db", pairs, None)
    assert project.is_audit
    assert [span.origin for span in project.state("ada", 1).ordered()] == ["gold", "audit"]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([], PairsError, "notes.csv: there is no text to review"),
        (rows_of([" "]), PairsError, "notes.csv: there is no text to review"),
        (ROWS, OptionError, "Name its folder with --model"),
    ],
)
def test_a_project_needs_texts_and_something_found(
    rows: list[InputRow], kind: type[AnnoseqError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        ProjectPlan("notes.csv", rows, ReviewConfig()).check()


def test_a_file_that_is_no_project_is_not_touched(tmp_path: Path) -> None:
    database, notes = tmp_path / "other.db", tmp_path / "notes.csv"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (a)")
    notes.write_text("text\nhello\n")
    for path in (database, notes):
        path.chmod(0o644)
        before = path.read_bytes()
        for use in (
            lambda path: make_project(path, plan(ROWS, tmp_path), word_annotator("Ames")),
            open_project,
        ):
            with pytest.raises(ReviewError):
                use(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert path.read_bytes() == before


AUDIT_HEAD = (
    "row,doc_id,start,end,label,problem,suggested_start,suggested_end,suggested_label,score"
)


def test_an_audit_must_be_that_of_the_project(tmp_path: Path) -> None:
    audit, other = tmp_path / "audit.csv", tmp_path / "other.csv"
    audit.write_text(f"{AUDIT_HEAD}\n1,doc-1,,,,missed,22,26,NAME,0.8\n")
    other.write_text(f"{AUDIT_HEAD}\n1,doc-1,4,8,NAME,spurious,,,,0.8\n")
    pairs = ProjectPlan("p.csv", rows_of([TEXT], [(AMES,)]), ReviewConfig(), audit=audit)
    audited, plain = tmp_path / "audited.db", tmp_path / "plain.db"
    made = make_project(audited, pairs, None)
    assert open_project(audited, audit=audit).documents == made.documents
    make_project(plain, plan(ROWS, tmp_path), word_annotator("Ames"))
    for path, table in ((audited, other), (plain, audit)):
        with pytest.raises(ReviewError, match=r"was made without this audit\. Leave --audit off"):
            open_project(path, audit=table)
