from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from annoseq.config import DeviceConfig
from annoseq.data.pairs import Pair, read_pairs, write_pairs
from annoseq.integrations.label_studio_backend import LabelStudioBackend, label_studio_app
from annoseq.integrations.label_studio_training import TrainingOptions
from annoseq.serving.access import AccessPolicy
from annoseq.serving.server import secure_app
from tests.calibrated import pairs
from tests.integrations.label_studio import START_TRAINING, event, result

if TYPE_CHECKING:
    from pathlib import Path

COPY = """
import pathlib, shutil, sys
table, out = pathlib.Path(sys.argv[2]), sys.argv[4]
shutil.copy(table, pathlib.Path(out).with_suffix(".csv"))
shutil.copytree({model!r}, out)
"""
"""A training that copies a model: it is given the words of `annoseq train`."""
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford", "Gray", "Hill", "Jones", "King")


def annotate(backend: LabelStudioBackend, *, count: int = 30, label: str = "Person") -> None:
    """Collect annotations of notes on doctors."""
    client = TestClient(
        secure_app(label_studio_app(backend), AccessPolicy()), base_url="http://localhost"
    )
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        text = f"Dear Dr. {name}:\nSeen on {number} May."
        created = event("ANNOTATION_CREATED", number, text, result(9, 9 + len(name), label))
        assert client.post("/webhook", json=created).status_code == 201


def train(backend: LabelStudioBackend) -> None:
    client = TestClient(
        secure_app(label_studio_app(backend), AccessPolicy()), base_url="http://localhost"
    )
    answer = client.post("/webhook", json=START_TRAINING)
    assert (answer.status_code, answer.json()["result"]) == (201, "training on 30 tasks")
    backend.training.wait()


def make_backend(
    model: Path, data: Path, *, trains: str, pairs: Path | None = None
) -> LabelStudioBackend:
    backend = LabelStudioBackend(model, data, options=TrainingOptions(pairs=pairs, epochs=2))
    backend.training.process.command = (sys.executable, "-c", trains)
    return backend


def test_a_model_that_is_no_worse_on_tasks_kept_from_training_takes_over(
    flat_model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    backend = make_backend(flat_model, data, trains=COPY.format(model=str(flat_model)))
    annotate(backend)
    train(backend)
    report = backend.training.report
    assert report.status == "taken"
    found = re.match(r"span F1 (0\.\d+) on (\d) tasks kept from training \((.*) before\): tagger-",
                     report.message)  # fmt: skip
    assert found is not None, report.message
    assert found[1] == found[3]
    assert backend.answering.path == data / "models" / "1"
    again = LabelStudioBackend(flat_model, data)
    assert again.answering.path == data / "models" / "1"
    trained = read_pairs(data / "models" / "1.csv")
    assert len({pair.document for pair in trained}) == 30 - int(found[2])
    assert all("{{NAME}}" in pair.target for pair in trained if "Dr." in pair.source)
    assert {path.name for path in data.iterdir()} == {"current", "models", "project-6"}


def test_a_model_that_is_worse_does_not_take_over(
    flat_model: Path, nested_model: Path, tmp_path: Path
) -> None:
    copies = COPY.format(model=str(nested_model))
    backend = make_backend(flat_model, tmp_path / "data", trains=copies)
    names = {"NAME": "Person", "AGE": "Age"}
    for number in range(30):  # annotations are what the model finds, so that it is never wrong
        text = f"Dr. Ames, {number}y"
        (spans,) = backend.model.spans([text])
        found = [result(span.start, span.end, names[span.label]) for span in spans]
        created = event("ANNOTATION_CREATED", number, text, *found)
        backend.tasks.add(6, number, created["task"]["data"], created["annotation"])
    train(backend)
    report = backend.training.report
    assert report.status == "not taken"
    expected = r"span F1 0.000 .* \(1.000 before\): the old model goes on; the new one is .*1"
    assert re.fullmatch(expected, report.message)
    assert backend.answering.path == flat_model


def test_pairs_are_trained_on_beside_the_tasks(flat_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    write_pairs(pairs(7), table, overwrite=False)
    copies = COPY.format(model=str(flat_model))
    backend = make_backend(flat_model, tmp_path / "data", trains=copies, pairs=table)
    annotate(backend)
    train(backend)
    documents = [pair.document for pair in read_pairs(tmp_path / "data" / "models" / "1.csv")]
    assert documents[:7] == [f"row {number}" for number in range(1, 8)]
    assert len(set(documents)) > 20
    words = backend.training.options.arguments(table, tmp_path / "1", flat_model)
    assert words == [str(table), "--out", str(tmp_path / "1"), "--epochs", "2"]
    options = TrainingOptions(device=DeviceConfig(device="cpu"), vectors=tmp_path / "cc.vec")
    alone = options.arguments(table, tmp_path / "1", flat_model)
    assert alone[3:5] == ["--go-on-from", str(flat_model)]
    assert alone[5:] == [
        *("--device", "cpu", "--precision", "auto"),
        *("--vectors", str(tmp_path / "cc.vec")),
    ]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; print('annoseq: the loss\\ndiverged.', file=sys.stderr); sys.exit(2)",
         "the loss diverged."),
        ("import sys; sys.exit(1)", "the training ended with exit code 1. Start it again."),
        ("", "1: there is no such folder"),
    ],
)  # fmt: skip
def test_a_training_that_fails_is_reported(
    flat_model: Path, tmp_path: Path, program: str, message: str
) -> None:
    backend = make_backend(flat_model, tmp_path / "data", trains=program)
    annotate(backend)
    train(backend)
    assert backend.training.report.status == "failed"
    assert message in backend.training.report.message
    assert backend.answering.path == flat_model


def test_one_training_runs_at_a_time_and_the_server_ends_it(
    flat_model: Path, tmp_path: Path
) -> None:
    backend = make_backend(flat_model, tmp_path / "data", trains="import time; time.sleep(60)")
    annotate(backend)
    app = secure_app(label_studio_app(backend), AccessPolicy())
    with TestClient(app, base_url="http://localhost") as client:
        assert client.post("/webhook", json=START_TRAINING).status_code == 201
        again = client.post("/webhook", json=START_TRAINING)
        assert again.json()["result"] == "a training runs already"
        assert client.get("/training").json()["status"] == "running"
    assert backend.training.report.status == "failed"
    assert backend.training.report.message.startswith("the server ended, and the training with")


def test_annotations_that_do_not_fit_their_text_are_named(flat_model: Path, tmp_path: Path) -> None:
    backend = make_backend(flat_model, tmp_path / "data", trains="")
    annotate(backend, count=29)
    backend.tasks.add(6, 99, {"body": "Xanthippe"}, {"id": 1, "result": [result(5, 50, "Person")]})
    train(backend)
    message = backend.training.report.message
    assert "found the offsets 5 to 50" in message
    assert "Xanthippe" not in message


@pytest.mark.e2e
def test_a_real_training_goes_on_from_the_model(flat_model: Path, tmp_path: Path) -> None:
    backend = LabelStudioBackend(flat_model, tmp_path / "data", options=TrainingOptions(epochs=2))
    annotate(backend)
    train(backend)
    assert re.match(r"span F1 .* on \d tasks kept from training", backend.training.report.message)
    assert (tmp_path / "data" / "models" / "1" / "weights.safetensors").exists()


def test_an_unexpected_error_ends_a_training_and_is_not_quoted(
    flat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make_backend(flat_model, tmp_path / "data", trains="")
    annotate(backend)

    def fail(*_: object) -> None:
        raise KeyError("Dr. Ames")

    monkeypatch.setattr(backend.tasks.__class__, "tasks", fail)
    train(backend)
    report = backend.training.report
    assert report.status == "failed"
    assert re.match(r"internal error: KeyError at ", report.message)
    assert "Ames" not in report.message


def test_pairs_with_a_text_that_is_kept_back_are_not_trained_on(
    flat_model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "pairs.csv"
    texts = [f"Seen on {number} May." for number in range(30)]
    write_pairs(
        [Pair(text, text, row) for row, text in enumerate(texts, 1)], table, overwrite=False
    )
    copies = COPY.format(model=str(flat_model))
    backend = make_backend(flat_model, tmp_path / "data", trains=copies, pairs=table)
    annotate(backend)
    train(backend)
    of_pairs, of_tasks = set[str](), set[str]()
    for pair in read_pairs(tmp_path / "data" / "models" / "1.csv"):
        assert pair.document is not None
        (of_pairs if pair.document.startswith("row ") else of_tasks).add(pair.source)
    assert of_pairs == of_tasks & {*texts}
    assert 20 < len(of_pairs) < 30
