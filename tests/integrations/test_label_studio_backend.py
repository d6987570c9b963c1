from __future__ import annotations

import json
import logging
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.integrations.label_studio_backend import LabelStudioBackend, label_studio_app
from annoseq.serving.access import AccessPolicy
from annoseq.serving.server import secure_app
from tests.fidelity import random_annotator
from tests.integrations.label_studio import CONFIG, SETUP, START_TRAINING, event, predict, result

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:9090"
TEXTS = ["Dr. Ames, 31y 👍🏽 Zoë", "", "Zoë\t31"]
SECRET = "Xanthippe"


@pytest.fixture
def backend(flat_model: Path, tmp_path: Path) -> LabelStudioBackend:
    return LabelStudioBackend(flat_model, tmp_path / "data")


@pytest.fixture
def client(backend: LabelStudioBackend) -> TestClient:
    return TestClient(secure_app(label_studio_app(backend), AccessPolicy()), base_url=URL)


def test_it_is_healthy_and_says_which_model_answers(
    client: TestClient, backend: LabelStudioBackend
) -> None:
    for path in ("/health", "/"):
        assert client.get(path).json() == {"status": "UP", "model_class": "annoseq"}
    answer = client.post("/setup", json=SETUP)
    assert answer.status_code == 200
    assert answer.json() == {"model_version": backend.model.name}


def test_predictions_are_the_spans_of_the_annotator_with_the_labels_of_the_project(
    client: TestClient, flat_model: Path, backend: LabelStudioBackend
) -> None:
    answer = client.post("/predict", json=predict(*TEXTS))
    assert answer.status_code == 200
    results = answer.json()["results"]
    names = {"NAME": "Person", "AGE": "Age"}
    for text, found, annotation in zip(
        TEXTS, results, Annotator.load(flat_model).annotate(TEXTS), strict=True
    ):
        assert found["model_version"] == backend.model.name
        assert 0 < found["score"] <= 1
        assert [one["value"] for one in found["result"]] == [
            {"start": s.start, "end": s.end, "text": text[s.start : s.end],
             "labels": [names[s.label]]}
            for s in annotation.spans or ()
        ]  # fmt: skip
        for one in found["result"]:
            assert (one["from_name"], one["to_name"], one["type"]) == ("ner", "note", "labels")
            assert 0 < one["score"] < 1
    assert sum(len(found["result"]) for found in results) > 5


def test_the_configuration_of_a_project_is_remembered_and_labels_it_lacks_are_named(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/predict", json=predict("Dr. Ames", config=None))
    assert answer.status_code == 422
    assert "has sent no labelling configuration" in answer.json()["error"]
    without_age = CONFIG.replace('<Label value="Age" background="#D4380D"/>', "")
    with caplog.at_level(logging.INFO, logger="annoseq"):
        assert client.post("/setup", json={**SETUP, "schema": without_age}).status_code == 200
    assert "project 6: the project has no label for AGE of the model" in caplog.text
    (found,) = client.post("/predict", json=predict(TEXTS[0], config=None)).json()["results"]
    assert {one["value"]["labels"][0] for one in found["result"]} <= {"Person"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (predict(SECRET, 5), "tasks.1: its data have no text in the field body"),
        (predict(SECRET, "\ud800"), "tasks.1: its data have no text in the field body"),
        (predict(SECRET, config="<View"), "labelling configuration: line 1: this is not well-form"),
        (predict(SECRET, config="<View/>"), "there are no labels of a text. Expected are <Text"),
        ({"tasks": [{"id": 1}]}, "tasks.0.data: this field is missing"),
        ({"tasks": SECRET}, "tasks: give a list"),
        ({**predict(SECRET), "project": SECRET}, "project: give a whole number"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused_without_their_text(
    client: TestClient, body: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/predict", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert SECRET not in answer.text + caplog.text


def test_annotations_are_collected_for_their_owner_alone(
    client: TestClient, backend: LabelStudioBackend
) -> None:
    created = event("ANNOTATION_CREATED", 4, "Dr. Ames", result(4, 8, "Person"))
    answer = client.post("/webhook", json=created)
    assert (answer.status_code, answer.json()) == (201, {"result": "stored", "status": "ok"})
    updated = event("ANNOTATION_UPDATED", 4, "Dr. Ames", result(0, 8, "Person"))
    assert client.post("/webhook", json=updated).status_code == 201
    (task,) = backend.tasks.tasks(6)
    assert (task["id"], task["data"]["body"]) == (4, "Dr. Ames")
    (annotation,) = task["annotations"]
    assert annotation["result"] == [result(0, 8, "Person")]
    assert annotation["lead_time"] == 4.2
    (file,) = backend.tasks.folder.rglob("task-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(backend.tasks.folder.stat().st_mode) == 0o700
    status = client.get("/training").json()
    assert status["annotated_tasks"] == {"6": 1}
    deleted = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 104}],
               "project": created["project"]}  # fmt: skip
    assert client.post("/webhook", json=deleted).json()["result"] == "removed 1 annotation"
    assert client.post("/webhook", json=deleted).json()["result"] == "removed 0 annotations"
    assert backend.tasks.tasks(6) == []


def test_other_events_are_answered_and_events_without_a_payload_refused(
    client: TestClient,
) -> None:
    answer = client.post("/webhook", json={"action": "PROJECT_UPDATED", "project": {"id": 6}})
    assert (answer.status_code, answer.json()) == (200, {"status": "Unknown event"})
    for body, name in (
        ({"action": "ANNOTATION_CREATED"}, "project"),
        ({"action": "ANNOTATION_CREATED", "project": {"id": 6}}, "task and annotation"),
    ):
        answer = client.post("/webhook", json=body)
        assert answer.status_code == 422
        assert f"{name}: missing in the event. Let the webhook send" in answer.json()["error"]


def test_a_training_needs_annotated_tasks(client: TestClient) -> None:
    answer = client.post("/webhook", json=START_TRAINING)
    assert answer.status_code == 422
    assert "0 annotated tasks, and a training needs at least 20" in answer.json()["error"]
    assert client.get("/training").json()["status"] == "none"


def test_a_model_that_translates_is_refused(tmp_path: Path) -> None:
    model = random_annotator("flat").model
    translator = model.config.model_copy(update={"task": "translate"})
    replace(model, config=translator).save(tmp_path / "model", card="")
    with pytest.raises(OptionError, match="writes texts of its own and marks nothing"):
        LabelStudioBackend(tmp_path / "model", tmp_path / "data")
