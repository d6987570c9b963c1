"""Requests of Label Studio, shaped as its ML connector and its webhooks send them."""

from __future__ import annotations

from typing import Any

CONFIG = """<View>
  <Labels name="ner" toName="note">
    <Label value="Person" background="#FFA39E" predicted_values="NAME"/>
    <Label value="Age" background="#D4380D"/>
  </Labels>
  <Text name="note" value="$body"/>
</View>"""


def task(number: int, text: object) -> dict[str, Any]:
    """Return a task as the connector sends it."""
    return {
        "id": number,
        "data": {"body": text, "ward": 7},
        "meta": {},
        "created_at": "2024-03-20T20:50:22.955810Z",
        "updated_at": "2024-03-20T20:50:22.955819Z",
        "is_labeled": False,
        "overlap": 1,
        "inner_id": number,
        "total_annotations": 0,
        "project": 6,
        "updated_by": None,
        "comment_authors": [],
        "annotations": [],
        "predictions": [],
    }


def predict(*texts: object, config: str | None = CONFIG) -> dict[str, Any]:
    """Return the request of predictions for texts."""
    return {
        "tasks": [task(number, text) for number, text in enumerate(texts, 1)],
        "model_version": "some-version",
        "project": "6.1710967805",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }


def result(start: int, end: int, label: str) -> dict[str, Any]:
    """Return a labelled span of an annotation."""
    value = {"start": start, "end": end, "labels": [label]}
    return {"id": "x", "from_name": "ner", "to_name": "note", "type": "labels", "value": value}


def event(action: str, number: int, text: str, *results: dict[str, Any]) -> dict[str, Any]:
    """Return the event of an annotation."""
    return {
        "action": action,
        "annotation": {
            "id": 100 + number,
            "completed_by": 1,
            "result": list(results),
            "was_cancelled": False,
            "ground_truth": False,
            "lead_time": 4.2,
            "task": number,
            "project": 6,
        },
        "project": {"id": 6, "title": "Notes", "label_config": CONFIG, "task_number": 9},
        "task": task(number, text),
    }


START_TRAINING = {
    "action": "START_TRAINING",
    "project": {"id": 6, "title": "Notes", "label_config": CONFIG},
}
SETUP = {
    "project": "6.1710967805",
    "schema": CONFIG,
    "hostname": "http://localhost:8080",
    "access_token": "0123456789abcdef",
}
