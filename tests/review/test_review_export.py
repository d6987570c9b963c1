from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

from annoseq.review import actions
from annoseq.review.review_export import (
    LeftOut,
    count_left_out,
    decided_documents,
    left_out_note,
    to_pair,
    write_decisions,
)
from tests.review.projects import AMES, BO, TEXT, make_project, prediction
from tests.review.test_project import act, finish

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.review.project import ReviewProject


def made(folder: Path) -> ReviewProject:
    """One document in each state: done, untouched, started, skipped, disputed, adjudicated."""
    project = make_project(folder / "review.db", [TEXT] * 6, [prediction(AMES)] * 6)
    finish(project, 1, AMES)
    act(project, 3, actions.Accept(span="m1"))
    act(project, 4, actions.Skip())
    for number in (5, 6):
        finish(project, number, AMES)
        finish(project, number, BO, reviewer="bo")
    project.adjudicate("eve", 6, [BO])
    return project


def test_only_decided_documents_are_exported_and_the_others_are_counted(tmp_path: Path) -> None:
    project = made(tmp_path)
    decided = [*decided_documents(project)]
    assert [document.id for document, _ in decided] == [1, 6]
    pairs = [to_pair(document, settled.spans) for document, settled in decided]
    assert pairs[0].target == TEXT.replace("Ames", "{{NAME}}Ames{{/NAME}}", 1)
    assert (pairs[1].document, pairs[1].start, pairs[1].row) == ("doc-6", 0, 6)
    assert count_left_out(project) == LeftOut(1, 1, 1, 1)
    assert left_out_note(count_left_out(project)) == (
        "4 documents left out: 1 untouched, 1 started and not done, 1 skipped, 1 disputed between "
        "reviewers (adjudicate them)"
    )
    assert left_out_note(LeftOut()) == ""


def test_the_decisions_say_who_and_when_without_the_text(tmp_path: Path) -> None:
    project = made(tmp_path)
    path = tmp_path / "decisions.jsonl"
    count = write_decisions(project, path, overwrite=False)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert count == len(lines) == len(project.store.log())
    assert lines[0].pop("at").endswith("+00:00")
    assert lines[0] == {
        "doc_id": "doc-1",
        "row": 1,
        "reviewer": "ada",
        "step": 1,
        "type": "done",
        "reject_open": True,
    }
    assert lines[1]["type"] == "add"
    assert "Ames" not in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
