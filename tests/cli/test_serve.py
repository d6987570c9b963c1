"""`annoseq serve`: what it refuses to start with, and a server that is used and ended."""

from __future__ import annotations

import json
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from annoseq.serving.server import open_socket
from tests.calibrated import calibrated_model
from tests.cli.command import finish, refusal, run, start, write_key
from tests.fidelity import random_annotator
from tests.imports import imported_by
from tests.onnx_files import write_tiny_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "0123456789abcdef0123456789abcdef"
NOTE = "Dr. Ames, 31y"
_BATCHES = 'annoseq_batches_total{model="model"'


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tagger, its ONNX file, and a token file."""
    folder = tmp_path_factory.mktemp("served")
    calibrated_model().save(folder / "model", card="# Card\n")
    write_tiny_file(folder / "tagger.onnx")
    write_key(folder / "tokens", f"ada {TOKEN}\n")
    return folder


def refused(*arguments: object) -> str:
    return refusal(run("serve", *arguments, "--port", "0"))


def test_another_host_needs_a_token(shelf: Path) -> None:
    assert "and then a token is needed" in refused(shelf / "model", "--host", "0.0.0.0")


def test_the_options_are_checked_before_a_model_is_loaded(shelf: Path) -> None:
    for arguments, message in (
        (("--token-file", shelf / "none"), "cannot be read: No such file"),
        (("--allowed-host", "http://a"), "is no name of a host"),
        (("--policy", "none"), "there is no such policy"),
        (("--scope", "corpus", "--with", "surrogate"), "Give --key FILE"),
        ((shelf / "none",), "models would have the name none"),
        (("a b=x",), "as the name of a model"),
    ):
        assert message in refused(shelf / "none", *arguments)


def test_a_model_must_be_there(shelf: Path) -> None:
    assert "there is no such folder" in refused(shelf / "none")
    assert "there is no such" in refused(shelf / "model", shelf / "none.onnx")


def test_a_port_that_is_taken_is_an_error(shelf: Path) -> None:
    with open_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        result = run("serve", shelf / "model", "--port", port)
    assert f"port {port} of 127.0.0.1 cannot be opened: Address already in use" in refusal(result)
    assert "Give a number from 0" in refusal(run("serve", shelf / "model", "--port", 65_536))
    assert "at least 0" in refused(shelf / "model", "--reload=-1")


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_missing_package_is_named(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(
        "annoseq.cli.server_options.find_spec",
        lambda name: None if name == package else find_spec(name),
    )
    assert refused(shelf / "model") == (
        f"annoseq serve needs {package}, which is not installed. Run: pip install 'annoseq[serve]'"
    )


@pytest.mark.e2e
def test_an_onnx_file_is_served_without_torch(shelf: Path) -> None:
    program = f"""
from pathlib import Path
from annoseq.cli.serve import load_redactor
from annoseq.serving import service, server
from annoseq.serving.model_store import load_served
assert load_served(Path({str(shelf / "tagger.onnx")!r})).fingerprint
"""
    assert imported_by(program) & {"torch", "accelerate", "safetensors"} == set()


def post(url: str, path: str = "/annotate", **body: Any) -> Any:
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    request = Request(url + path, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=60) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def server(shelf: Path) -> Iterator[tuple[Any, str]]:
    """A process that serves both models, and its address."""
    with start(
        *("serve", shelf / "model", f"other={shelf / 'tagger.onnx'}", "--port", "0"),
        *("--token-file", shelf / "tokens", "--reload", "0.05", "--with", "mask"),
    ) as process:
        try:
            yield process, wait_for_start(process)
        finally:
            process.kill()


def wait_for_start(server: Any) -> str:
    """Return the address that a server prints when it answers."""
    lines = []
    for line in server.stderr:
        lines.append(line)
        if line.startswith("serving at"):
            break
    assert lines[0].startswith("model: tagger ")
    return str(lines[-1].split()[2])


def batches(url: str) -> str:
    """Return the line of the number of batches that the model has annotated, if it has any."""
    request = Request(f"{url}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    with urlopen(request, timeout=60) as response:
        lines = response.read().decode().splitlines()
    return next((line for line in lines if line.startswith(_BATCHES)), "")


@pytest.mark.e2e
def test_models_are_served_to_those_with_a_token(server: tuple[Any, str]) -> None:
    _, url = server
    with pytest.raises(HTTPError) as error:
        urlopen(f"{url}/models")
    assert error.value.code == 401
    error.value.close()
    assert post(url, texts=[NOTE], model="other")["model"] == "other"
    assert post(url, "/redact", texts=[NOTE])["texts"][0]["id"] == "1"


@pytest.mark.e2e
def test_a_new_model_is_taken_up_without_a_dropped_request(
    shelf: Path, server: tuple[Any, str]
) -> None:
    _, url = server
    before = post(url, texts=[NOTE])["fingerprint"]
    fingerprints: list[str] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            answer = post(url, texts=[NOTE, NOTE])
            assert len(answer["annotations"]) == 2
            fingerprints.append(answer["fingerprint"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    model = random_annotator("flat tagger", seed=1).model
    model.save(shelf / "model", card="# New\n", overwrite=True)
    while not fingerprints or fingerprints[-1] == before:
        threads[0].join(0.01)
        assert all(thread.is_alive() for thread in threads)
    is_over.set()
    for thread in threads:
        thread.join()
    assert len(set(fingerprints)) == 2


@pytest.mark.e2e
def test_sigterm_finishes_what_was_taken(server: tuple[Any, str]) -> None:
    process, url = server
    answers: list[Any] = []
    large = threading.Thread(target=lambda: answers.append(post(url, texts=[NOTE * 50] * 400)))
    done = batches(url)
    large.start()
    while batches(url) == done:
        large.join(0.001)
    assert large.is_alive()
    process.terminate()
    large.join()
    assert len(answers[0]["annotations"]) == 400
    result = finish(process)
    assert result.code == 0
    assert result.err.splitlines()[-1] == "stopped"
    assert "Ames" not in result.err
