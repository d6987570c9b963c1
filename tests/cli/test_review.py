"""annoseq review."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.output_lock import OutputLock
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.project_store import ProjectStore
from tests.cli.command import refusal, run, start
from tests.review.projects import TEXT, make_store, rows_of

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

SMALL = (
    *("--tagger.hidden", "16", "--tagger.embedding", "16", "--tagger.buckets", "1024"),
    *("--epochs", "10", "--max-lr", "3e-2", "--batch-size", "4", "--device", "cpu"),
)
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford", "Gray", "Hill", "Jones", "King")


def decided(folder: Path) -> Path:
    path = folder / "review.db"
    store = make_store(path, rows_of([TEXT, "nothing", "more"]))
    project = ReviewProject(store)
    project.act("ada", 1, actions.Accept(span="m1"), revision=0)
    project.act("ada", 1, actions.Done(), revision=1)
    project.act("ada", 3, actions.Skip(), revision=0)
    store.close()
    return path


def test_the_export_writes_pairs_and_counts_what_is_left_out(tmp_path: Path) -> None:
    path, out, log = decided(tmp_path), tmp_path / "pairs.csv", tmp_path / "log.jsonl"
    result = run("review", "export", "--project", path, "--out", out, "--decisions", log)
    assert (result.code, result.out) == (0, f"exported 1 document of 3: {out}\n")
    assert result.err == (f"wrote {log}: 3 actions\n2 documents left out: 1 untouched, 1 skipped\n")
    tagged = TEXT.replace("Ames", "{{NAME}}Ames{{/NAME}}", 1)
    assert out.read_text() == (
        f'"doc_id","start","orig_text","annotated_text"\n"doc-1",0,"{TEXT}","{tagged}"\n'
    )
    assert len(log.read_text().splitlines()) == 3
    again = run("review", "export", "--project", path, "--out", out)
    assert refusal(again).startswith(f"{out} exists already")


def test_the_export_reads_a_project_that_is_open(tmp_path: Path) -> None:
    path = decided(tmp_path)
    with OutputLock(path):
        result = run("review", "export", "--project", path, "--out", tmp_path / "pairs.jsonl")
    assert result.code == 0


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    make_store(path, rows_of([TEXT])).close()
    result = run("review", "export", "--project", path, "--out", tmp_path / "p.csv")
    assert refusal(result) == (
        f"{path}: no document is decided, so that there is nothing to export. 1 document left out: "
        "1 untouched."
    )


def test_a_project_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    assert refusal(run("review", "--project", path)) == (
        f"{path}: there is no such project. Name the pairs or texts to review, and the model with "
        "--model, to make it."
    )
    result = run("review", "export", "--project", path, "--out", tmp_path / "p.csv")
    assert refusal(result).startswith(f"{path}: there is no such project.")


@pytest.mark.e2e
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = decided(tmp_path)
    with OutputLock(path):
        other = start("review", "--project", path, "--no-browser", "--port", 0)
        _, err = other.communicate(timeout=60)
    assert other.returncode == 2
    assert re.fullmatch(rf"annoseq: {path} is being written by process \d+\. .*\n", err)


def test_an_audit_is_a_project_without_a_model(tmp_path: Path) -> None:
    pairs, audit = tmp_path / "pairs.csv", tmp_path / "audit.csv"
    pairs.write_text("orig_text,annotated_text\nDr Ames,Dr {{NAME}}Ames{{/NAME}}\nDr Bo,Dr Bo\n")
    audit.write_text(
        "row,doc_id,start,end,label,problem,suggested_start,suggested_end,suggested_label,score\n"
        "2,,,,,missed,3,5,NAME,0.8\n"
    )
    path = tmp_path / "review.db"
    options = ("--audit", audit, "--project", path, "--only-make")
    result = run("review", pairs, *options)
    assert result.code == 0, result.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    project = ReviewProject(ProjectStore.open(path))
    assert [span.origin for span in project.state("ada", 2).ordered()] == ["audit"]
    assert run("review", pairs, *options).code == 0  # the same command goes on
    assert refusal(run("review", pairs, *options, "--draw-seed", 7)) == (
        f"{path} was made with another --draw-seed. Leave --draw-seed off to go on with it, or "
        "choose another name with --project."
    )


class Server:
    """A running `annoseq review`, and requests to it."""

    def __init__(self, *arguments: object) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[str] = start(
            "review", *arguments, "--no-browser", "--port", self.port
        )
        assert self.process.stderr is not None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if line.startswith("serving at"):
                return
        raise AssertionError("".join(lines))

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"x-reviewer": "ada", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def act(self, id_: int, action: dict[str, Any]) -> Any:
        revision = self.request(f"documents/{id_}")["revision"]
        return self.request(f"documents/{id_}/actions", {"revision": revision, "action": action})


def trained_and_notes(folder: Path) -> tuple[Path, Path]:
    """Return a model that finds names, and ten notes."""
    rows = [f"Dear Dr. {name}:,Dear Dr. {{{{NAME}}}}{name}{{{{/NAME}}}}:" for name in NAMES * 3]
    pairs, model, notes = folder / "pairs.csv", folder / "model", folder / "notes.csv"
    pairs.write_text("\n".join(["orig_text,annotated_text", *rows]) + "\n")
    assert run("train", pairs, "--out", model, *SMALL).code == 0
    texts = [f"Dear Dr. {name}:,n{number}" for number, name in enumerate(NAMES)]
    notes.write_text("\n".join(["orig_text,doc_id", *texts]) + "\n")
    return model, notes


def wait_for_retraining(server: Server) -> Any:
    until = time.monotonic() + 300
    while (status := server.request("project")["retraining"])["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.2)
    return status


@pytest.mark.e2e
def test_the_loop_of_review_kill_export_and_retraining(tmp_path: Path) -> None:
    model, notes = trained_and_notes(tmp_path)
    project = tmp_path / "review.db"
    server = Server(notes, "--model", model, "--project", project)
    head = server.request("project")
    assert head["documents"]["total"] == 10
    assert "leak" in head["orders"]  # the model knows marginals
    for id_ in range(1, 11):
        server.act(id_, {"type": "done", "reject_open": True})
        server.act(id_, {"type": "add", "start": 0, "end": 4, "label": "GREETING"})
    server.process.send_signal(signal.SIGKILL)
    server.process.communicate()
    out = tmp_path / "reviewed.csv"
    assert run("review", "export", "--project", project, "--out", out).code == 0
    expected = [
        f'"n{number}","Dear Dr. {name}:","{{{{GREETING}}}}Dear{{{{/GREETING}}}} Dr. {name}:"'
        for number, name in enumerate(NAMES)
    ]
    assert out.read_text().splitlines()[1:] == expected
    server = Server("--project", project, "--device", "cpu")
    assert server.request("project")["can_retrain"]
    server.request("retrain", {})
    status = wait_for_retraining(server)
    assert status["state"] == "done", status
    assert status["gain"]["after"] >= status["gain"]["before"]
    assert (tmp_path / "review-models" / "model-2" / "card.md").exists()
    assert [path.name for path in (tmp_path / "review-models").iterdir()] == ["model-2"]
    server.process.send_signal(signal.SIGTERM)
    _, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert "annoseq review export" in err
