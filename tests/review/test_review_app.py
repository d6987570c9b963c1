from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from annoseq.review.review_app import make_review_app
from annoseq.serving.access import AccessPolicy
from annoseq.serving.server import secure_app
from tests.review.projects import AMES, BO, TEXT, make_project, prediction, reopened
from tests.serving.test_access import TOKEN, token_file

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.review.project import ReviewProject

URL = "http://127.0.0.1:8000"


class Page:
    """Requests of one reviewer, as the page makes them."""

    def __init__(self, project: ReviewProject, reviewer: str | None = "Ada Lovelace") -> None:
        app = secure_app(make_review_app(project), AccessPolicy())
        headers = {} if reviewer is None else {"x-reviewer": quote(reviewer)}
        self.client = TestClient(app, base_url=URL, headers=headers)

    def get(self, path: str) -> Any:
        response = self.client.get(f"/api/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: dict[str, Any], *, status: int = 200) -> Any:
        response = self.client.post(f"/api/{path}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    def act(self, id_: int, action: dict[str, Any], *, status: int = 200) -> Any:
        revision = self.get(f"documents/{id_}")["revision"]
        body = {"revision": revision, "action": action}
        return self.post(f"documents/{id_}/actions", body, status=status)


@pytest.fixture
def project(tmp_path: Path) -> ReviewProject:
    found = [prediction(AMES, BO, uncertainty=0.1), prediction(AMES, uncertainty=0.9)]
    return make_project(tmp_path / "review.db", [TEXT, f"👩‍⚕️ e\u0301\r\n{TEXT}"], found)


def test_the_head_shows_labels_orders_and_progress(project: ReviewProject) -> None:
    head = Page(project, reviewer=None).get("project")
    assert head == {
        "title": "notes.csv",
        "labels": [{"label": "NAME", "count": 3}],
        "orders": ["mixed", "uncertain", "random", "label", "leak", "document"],
        "documents": {"total": 2, "done": 0, "started": 0, "skipped": 0, "untouched": 2},
        "estimate": None,
        "reviewers": [],
        "reviewer": None,
        "retraining": {"state": "none", "progress": 0.0, "message": "", "gain": None},
        "can_retrain": False,
    }


def test_a_document_has_its_text_tokens_and_spans_in_code_points(project: ReviewProject) -> None:
    document = Page(project).get("documents/2")
    assert document["text"] == f"👩‍⚕️ e\u0301\r\n{TEXT}"
    words = [document["text"][start:end] for start, end in document["tokens"]]
    assert words[-4:] == [".", "Ames", "left", "."]
    assert "e\u0301" in words
    assert document["spans"] == [
        {
            "id": "m1",
            "start": 4,
            "end": 8,
            "label": "NAME",
            "score": 0.9,
            "decision": "undecided",
            "origin": "model",
            "problem": None,
            "suggested": None,
        }
    ]


def test_actions_are_answered_with_the_document_without_its_text(project: ReviewProject) -> None:
    page = Page(project)
    reply = page.act(1, {"type": "accept", "span": "m1"})
    assert "text" not in reply
    assert "tokens" not in reply
    assert (reply["revision"], reply["state"], reply["can_undo"]) == (1, "started", True)
    assert [span["decision"] for span in reply["spans"]] == ["accepted", "undecided"]
    reply = page.post("documents/1/undo", {"revision": 1})
    assert (reply["state"], reply["can_undo"], reply["can_redo"]) == ("untouched", False, True)
    reply = page.post("documents/1/redo", {"revision": 2})
    assert reply["spans"][0]["decision"] == "accepted"
    assert reopened(project).state("Ada Lovelace", 1).accepted == (AMES,)


def test_a_stale_revision_is_answered_with_the_document_as_it_is(project: ReviewProject) -> None:
    page = Page(project)
    page.act(1, {"type": "accept", "span": "m1"})
    body = {"revision": 0, "action": {"type": "reject", "span": "m1"}}
    reply = page.post("documents/1/actions", body, status=409)
    assert reply["error"].startswith("the document has changed since it was loaded")
    assert reply["document"]["revision"] == 1
    assert page.post("documents/1/undo", {"revision": 0}, status=409)["document"]["revision"] == 1


def test_a_repeated_request_is_answered_as_it_is(project: ReviewProject) -> None:
    page = Page(project)
    body = {"revision": 0, "key": "k1", "action": {"type": "accept", "span": "m1"}}
    assert page.post("documents/1/actions", body)["revision"] == 1
    assert page.post("documents/1/actions", body)["revision"] == 1


def test_a_refusal_says_why_without_the_text(project: ReviewProject) -> None:
    page = Page(project)
    refused = page.act(1, {"type": "done"}, status=422)
    assert refused["error"].startswith("2 spans undecided.")
    for action in (
        {"type": "add", "start": 0, "end": 4, "label": "Dr. Ames saw"},
        {"type": "add", "start": 0, "end": "Dr. Ames saw", "label": "NAME"},
        {"type": "Dr. Ames saw"},
        {"type": "note", "text": "Dr. Ames saw \ud800"},
        {"type": "accept", "span": "m1", "Dr. Ames saw": 1},
    ):
        content = json.dumps({"revision": 0, "action": action}).encode()
        response = page.client.post(
            "/api/documents/1/actions",
            content=content,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 422
        assert "Ames saw" not in response.text


def test_applying_everywhere_says_how_many_documents_changed(project: ReviewProject) -> None:
    action = {"type": "apply_everywhere", "span": "m1", "scope": "project"}
    assert Page(project).act(1, action)["changed_documents"] == 2


def test_the_queue_is_ordered_filtered_and_paged(project: ReviewProject) -> None:
    page = Page(project)
    rows = page.post("queue", {"order": "uncertain"})
    assert [row["id"] for row in rows["documents"]] == [2, 1]
    assert rows["documents"][0] == {
        "id": 2,
        "name": "doc-2",
        "state": "untouched",
        "uncertainty": 0.9,
        "open": 1,
        "random_share": False,
    }
    page.act(2, {"type": "done", "reject_open": True})
    assert [
        row["id"] for row in page.post("queue", {"order": "uncertain", "offset": 1})["documents"]
    ] == [1]
    assert page.post("queue", {"state": "done"})["total"] == 1
    assert page.post("queue", {"search": "DOC-1"})["documents"][0]["id"] == 1
    assert [
        row["id"] for row in page.post("queue", {"order": "label", "label": "NAME"})["documents"]
    ] == [1]
    assert page.get("next?order=uncertain") == {"id": 1}
    assert page.get("next?order=uncertain&after=1") == {"id": None}
    response = page.client.post("/api/queue", json={"order": "sideways"})
    assert response.status_code == 422
    assert response.json()["error"].startswith("the project has no such order of documents.")


def test_a_decision_needs_a_reviewer(project: ReviewProject) -> None:
    page = Page(project, reviewer=None)
    refused = page.act(1, {"type": "skip"}, status=422)
    assert refused == {"error": "the request names no reviewer. Give your name first."}


@pytest.mark.parametrize(
    ("header", "message"),
    [("%ff", "is not UTF-8"), ("x" * 61, "has more than 60"), ("a%00b", "cannot be seen")],
)
def test_a_name_that_is_none_is_refused(project: ReviewProject, header: str, message: str) -> None:
    client = Page(project).client
    response = client.get("/api/project", headers={"x-reviewer": header})
    assert response.status_code == 422
    assert message in response.json()["error"]


def test_the_holder_of_a_token_is_the_reviewer(project: ReviewProject, tmp_path: Path) -> None:
    policy = AccessPolicy.choose("127.0.0.1", token_file=token_file(tmp_path, f"ada {TOKEN}"))
    headers = {"authorization": f"Bearer {TOKEN}", "x-reviewer": "somebody"}
    app = secure_app(make_review_app(project), policy)
    client = TestClient(app, base_url=URL, headers=headers)
    assert client.get("/api/project").json()["reviewer"] == "ada"
    client.post("/api/documents/1/actions", json={"revision": 0, "action": {"type": "skip"}})
    assert project.reviewers == ["ada"]


def test_two_reviewers_agree_and_disagree(project: ReviewProject) -> None:
    ada, bo = Page(project), Page(project, "bo")
    assert ada.get("agreement") is None
    for page in (ada, bo):
        page.act(1, {"type": "accept", "span": "m1"})
        page.act(1, {"type": "done", "reject_open": True})
        page.act(2, {"type": "done", "reject_open": True})
    bo.act(2, {"type": "add", "start": 4, "end": 8, "label": "NAME"})
    agreement = ada.get("agreement")
    assert agreement["reviewers"] == ["Ada Lovelace", "bo"]
    assert (agreement["documents"], agreement["documents_with_differences"]) == (2, 1)
    assert agreement["span_f1"] == pytest.approx(2 / 3, abs=1e-6)
    assert agreement["by_label"]["NAME"]["n"] == 2
    assert ada.get("adjudication") == {"documents": [{"id": 2, "name": "doc-2", "resolved": False}]}
    case = ada.get("adjudication/2")
    assert case["spans_by_reviewer"] == {
        "Ada Lovelace": [],
        "bo": [{"start": 4, "end": 8, "label": "NAME"}],
    }
    assert case["resolved"] is None
    spans = case["spans_by_reviewer"]["bo"]
    assert ada.post("adjudication/2", {"spans": spans})["resolved"] == spans
    assert ada.get("adjudication")["documents"][0]["resolved"] is True


def test_the_export_has_the_decided_documents_alone(project: ReviewProject) -> None:
    page = Page(project)
    page.act(1, {"type": "accept", "span": "m1"})
    page.act(1, {"type": "done", "reject_open": True})
    page.act(2, {"type": "accept", "span": "m1"})
    response = page.client.get("/api/export")
    assert response.headers["content-disposition"] == 'attachment; filename="reviewed.jsonl"'
    (line,) = response.text.splitlines()
    pair = json.loads(line)
    assert pair.pop("reviewed_at").endswith("+00:00")
    assert pair == {
        "doc_id": "doc-1",
        "start": 0,
        "orig_text": TEXT,
        "annotated_text": TEXT.replace("Ames", "{{NAME}}Ames{{/NAME}}", 1),
        "reviewers": ["Ada Lovelace"],
        "adjudicated": False,
    }


def test_the_page_is_served_with_its_scripts(project: ReviewProject) -> None:
    client = Page(project, reviewer=None).client
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    scripts = re.findall(r'src="/?([\w.]+)"', page.text)
    assert scripts
    for script in scripts:
        answer = client.get(f"/{script}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/javascript")
    assert client.get("/../review_app.py").status_code == 404


def test_an_unknown_document_is_refused(project: ReviewProject) -> None:
    assert Page(project).client.get("/api/documents/9").status_code == 422
