from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from annoseq.cli.redact_options import RedactionOptions
from annoseq.cli.serve import load_redactor
from annoseq.config import BatchConfig
from annoseq.data.text_inputs import InputText
from annoseq.deid.pipeline import RedactionPipeline, annotate_function
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.deid.run_output import annotation_record
from annoseq.inference.streaming import format_annotation
from annoseq.serving.access import AccessPolicy
from annoseq.serving.micro_batcher import BatchLimits
from annoseq.serving.server import secure_app
from annoseq.serving.service_metrics import ServiceMetrics
from annoseq.serving.service_schema import RedactOptions
from tests.cli.command import write_key
from tests.fidelity import random_annotator
from tests.serving.served import (
    JSON,
    NOTE,
    URL,
    lines,
    loaded,
    make_service,
    served,
    service,
    tagger,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from starlette.testclient import TestClient

SECRET = "Xanthippe"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    second = served("writer", lambda _: loaded(random_annotator("flat")))
    with service(served(), second, max_body=50_000) as made:
        yield made


def annotated(*texts: str, **options: Any) -> list[Any]:
    """Return what `annoseq annotate` writes."""
    annotations = tagger().annotate(texts, advance=lambda _: None, **options)
    return [
        json.loads(format_annotation(InputText(str(number), text), annotation, "jsonl"))
        for number, (text, annotation) in enumerate(zip(texts, annotations, strict=True), 1)
    ]


def test_annotations_are_the_objects_of_the_jsonl(client: TestClient) -> None:
    texts = [NOTE, "", "Zoë\t{} 👍🏽 \u0301\r\n\x00 {{NAME}}"]
    response = client.post("/annotate", json={"texts": texts})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert answer["annotations"] == annotated(*texts)
    assert (answer["model"], answer["notes"]) == ("first", [])
    assert client.post("/annotate", json={"texts": []}).json()["annotations"] == []


@pytest.mark.parametrize("options", [{"target_coverage": 0.9}, {"target_recall": 0.8}])
def test_targets_mark_what_they_mark_on_the_command_line(
    client: TestClient, options: dict[str, float]
) -> None:
    answer = client.post("/annotate", json={"texts": [NOTE], "options": options}).json()
    assert answer["annotations"] == annotated(NOTE, **options)


def test_a_target_out_of_reach_is_noted(client: TestClient) -> None:
    body = {"texts": [NOTE], "options": {"target_coverage": 0.9999}}
    (note,) = client.post("/annotate", json=body).json()["notes"]
    assert note.startswith("a coverage of 0.9999 is ")


def test_a_model_is_chosen_by_name(client: TestClient) -> None:
    body = {"texts": [NOTE], "model": "writer", "options": {"search": "beam", "n_best": 2}}
    answer = client.post("/annotate", json=body).json()
    assert answer["model"] == "writer"
    assert len(answer["annotations"][0]["alternatives"]) == 1
    response = client.post("/annotate", json={"texts": [], "model": SECRET})
    assert response.status_code == 404
    assert response.json() == {"error": "there is no model of this name. GET /models lists them."}


def test_draws_are_those_of_the_command_line_whatever_waits_beside(client: TestClient) -> None:
    options = {"search": "sample", "samples": 2}
    body = {"texts": [NOTE, NOTE], "model": "writer", "options": options}
    first = client.post("/annotate", json=body).json()["annotations"]
    assert client.post("/annotate", json=body).json()["annotations"] == first


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"texts": [SECRET], "options": {"search": "beam"}},
            "`search` is for sequence-to-sequence",
        ),
        (
            {"texts": [SECRET], "options": {"target_recall": 0.9, "target_coverage": 0.9}},
            "two ways",
        ),
        (
            {"texts": [SECRET], "model": "writer", "options": {"target_recall": 0.9}},
            "is for taggers",
        ),
        ({"texts": [SECRET], "options": {"n_best": 2}}, "belongs to"),
        ({"texts": [SECRET], "options": {"samples": 65}}, "samples: give a number of at most 64"),
        ({"texts": [SECRET], "options": {SECRET + " came": 1}}, "this field is not known"),
        ({"texts": [SECRET], "options": {"target_recall": SECRET}}, "target_recall: give a number"),
        ({"texts": SECRET}, "texts: give a list"),
        ({"texts": [{"text": SECRET}]}, "texts.0: give a text in quotes"),
        ({}, "texts: this field is missing"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_without_its_text(
    client: TestClient, body: dict[str, Any], message: str
) -> None:
    response = client.post("/annotate", json=body)
    assert response.status_code == 422
    assert message in response.json()["error"]
    assert SECRET not in response.text


def test_half_a_character_is_refused(client: TestClient) -> None:
    for path in ("/annotate", "/redact"):
        response = client.post(path, content=b'{"texts": ["\\ud800"]}', headers=JSON)
        assert response.status_code == 422
        assert "texts.0: the text holds half of a surrogate pair" in response.json()["error"]
    whole = client.post("/annotate", content=b'{"texts": ["\\ud83d\\ude00"]}', headers=JSON)
    assert whole.json()["annotations"][0]["text"] == "\U0001f600"


def test_another_content_type_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = client.post("/annotate", content=b'{"texts": []}', headers=headers)
    assert response.status_code == 415
    assert response.json() == {
        "error": "the body has the content type application/x-www-form-urlencoded. Send JSON, with "
        "Content-Type: application/json."
    }


def test_a_long_text_is_refused(client: TestClient) -> None:
    for path, place in (("/annotate", "texts.1"), ("/redact", "a text of document 2")):
        response = client.post(path, json={"texts": ["", "a" * 2_001]})
        assert response.status_code == 413
        assert response.json() == {
            "error": f"{place} has 2,001 characters, and the longest that is taken 2,000. Cut it "
            "into its sections, or use annoseq annotate."
        }


def test_redactions_are_the_objects_of_the_annotations(client: TestClient) -> None:
    body = {"texts": [NOTE, ""], "options": {"with": "mask", "best_path": True}}
    answer = client.post("/redact", json=body).json()
    first, second = answer["texts"]
    assert (first["id"], second["id"]) == ("1", "2")
    assert first["document"] != second["document"]
    redactor, patterns = RedactionOptions(style="mask").load()
    annotate = annotate_function(tagger(), BatchConfig(), None)
    source = RedactionDocument(first["document"], (DocumentPart("1", NOTE),))
    pipeline = RedactionPipeline(annotate, redactor, patterns)
    (redacted,) = pipeline.redact([source], chunk_size=1)
    assert first == annotation_record(redacted, redacted.texts[0])
    assert answer["notes"] == []


def test_a_request_may_turn_off_what_the_server_guards(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("Parkinson\n")
    server = RedactionOptions(guard_words=tmp_path / "words")
    request = RedactOptions(propagate=False)
    redactor, _ = load_redactor(server, request, has_patients=False)
    assert not redactor.propagates


def test_a_redaction_without_a_target_says_why(client: TestClient) -> None:
    (note,) = client.post("/redact", json={"texts": [NOTE]}).json()["notes"]
    assert note.startswith("replaces the likeliest spans only: of ")


def test_documents_share_what_is_found_in_them(client: TestClient) -> None:
    documents = [{"id": "note", "texts": [NOTE, "Ames"]}, {"texts": ["31"]}]
    answer = client.post("/redact", json={"documents": documents}).json()
    assert [(text["id"], text["document"]) for text in answer["texts"][:2]] == [
        ("1.1", "note"),
        ("1.2", "note"),
    ]
    assert answer["texts"][2]["id"] == "2"


def test_surrogates_follow_from_the_key_and_the_id_of_the_document(tmp_path: Path) -> None:
    write_key(tmp_path / "key", "k" * 40)
    redaction = RedactionOptions(style="surrogate", key=tmp_path / "key")
    body = {"documents": [{"id": "note", "texts": [NOTE]}, {"texts": [NOTE]}]}
    answers = []
    for _ in range(2):
        with service(redaction=redaction) as client:
            answers.append(client.post("/redact", json=body).json()["texts"])
    assert answers[0][0] == answers[1][0]
    assert answers[0][1]["document"] != answers[1][1]["document"]


def test_patients_are_for_all_documents_or_none(tmp_path: Path) -> None:
    write_key(tmp_path / "key", "k" * 40)
    redaction = RedactionOptions(style="surrogate", key=tmp_path / "key")
    with service(redaction=redaction) as client:
        documents = [{"texts": [NOTE], "patient": "p1"}, {"texts": [NOTE], "patient": "p1"}]
        first, second = client.post("/redact", json={"documents": documents}).json()["texts"]
        assert first["text"] == second["text"]
        mixed = [documents[0], {"texts": [NOTE]}]
        response = client.post("/redact", json={"documents": mixed})
    assert response.status_code == 422
    assert response.json() == {
        "error": "some documents have a patient, and others have none. Send those without a "
        "patient in a request of their own."
    }


def test_options_of_the_server_are_fixed(tmp_path: Path) -> None:
    with service(redaction=RedactionOptions(policy="safe-harbor")) as client:
        body = {"texts": [NOTE], "options": {"policy": "limited-data-set"}}
        response = client.post("/redact", json=body)
        assert response.status_code == 422
        assert response.json() == {
            "error": "options.policy: the server was started with it, and requests cannot change "
            "it. Leave it off."
        }
        body = {"texts": [NOTE], "options": {"with": "mask"}}
        assert client.post("/redact", json=body).json() == {
            "error": "`with` and `policy` both say what is done. Leave `with` off, or write a "
            "policy of your own that says so."
        }
    with service(redaction=RedactionOptions(style="mask")) as client:
        response = client.post("/redact", json={"texts": [NOTE], "options": {"with": "label"}})
        assert response.json()["error"].startswith("options.with: the server was started with it")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"best_path": True, "target_recall": 0.9}, "leaves alone what"),
        ({"scope": "corpus", "with": "surrogate"}, "follow from the secret"),
        ({"surrogates": "random"}, "writes no surrogates"),
        ({"locale": SECRET, "with": "surrogate"}, "locale"),
        ({"policy": "/etc/passwd"}, "policy: give 'safe-harbor' or 'limited-data-set'"),
        ({"key": "/etc/passwd"}, "key: this field is not known"),
    ],
)
def test_wrong_options_of_redaction_are_told(
    client: TestClient, options: dict[str, Any], message: str
) -> None:
    response = client.post("/redact", json={"texts": [SECRET], "options": options})
    assert response.status_code == 422
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    "body", [{}, {"texts": [], "documents": []}, {"documents": [{"texts": []}]}]
)
def test_a_redaction_needs_texts(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/redact", json=body).status_code == 422


def test_a_stream_is_answered_line_by_line(client: TestClient) -> None:
    sent = [{"text": NOTE}, {"text": 3}, {"text": "b", "id": "b"}, {"text": "a" * 2_001}]
    content = "\n".join(map(json.dumps, sent)) + '\n\n{"text": "Xanthippe\n'
    response = client.post("/annotate/stream", content=content)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["annoseq-model"].startswith("first ")
    first, second, third, *errors = lines(response.text)
    assert first == annotated(NOTE)[0]
    assert second == {"line": 2, "error": "text: give a text in quotes."}
    assert third == {**annotated("b")[0], "id": "b"}
    assert errors[0]["line"] == 4
    assert errors[0]["error"].startswith("the text has 2,001 characters")
    assert errors[1]["line"] == 6
    assert "this is no valid JSON" in errors[1]["error"]
    assert SECRET not in response.text


def test_a_stream_takes_options_in_its_address(client: TestClient) -> None:
    content = json.dumps({"text": NOTE})
    response = client.post("/annotate/stream?target_coverage=0.9", content=content)
    assert lines(response.text) == annotated(NOTE, target_coverage=0.9)
    for query in ("search=beam", "target_coverage=2", "x=1", "target_coverage=0.9&target_recall=1"):
        assert client.post(f"/annotate/stream?{query}", content=content).status_code == 422
    assert client.post("/annotate/stream?model=none", content=content).status_code == 404


def test_a_stream_of_redactions(client: TestClient) -> None:
    sent = [{"text": NOTE}, {"texts": [NOTE, "Ames"], "id": "d"}, {"text": "", "texts": [""]}]
    content = "\n".join(map(json.dumps, sent))
    response = client.post("/redact/stream?with=mask&best_path=true", content=content)
    found = lines(response.text)
    assert [line.get("id") for line in found] == ["1", "2.1", "2.2", None]
    assert found[3] == {"line": 3, "error": "the body: give either text or texts."}
    assert len(found[0]["text"]) == len(NOTE)
    assert client.post("/redact/stream?key=x", content=content).status_code == 422


def stream_in(client: TestClient, address: str, pieces: Sequence[bytes]) -> bytes:
    """Return the answer to a body that arrives in pieces: a test client sends it in one."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def answer() -> bytes:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as pieced:
            return (await pieced.post(address, content=body())).content

    return asyncio.run(answer())


def test_draws_of_a_stream_do_not_depend_on_how_it_arrives(client: TestClient) -> None:
    whole = [b'{"text": "Dr. Ames"}\n', b"\n", b'{"text": "Dr. Ames"}\n']
    address = "/annotate/stream?model=writer&search=sample&temperature=2"
    answers = [stream_in(client, address, pieces) for pieces in (whole, [b"".join(whole)])]
    assert answers[0] == answers[1]
    first, second = lines(answers[0].decode())
    assert first["annotated"] != second["annotated"]


def test_redactions_of_a_stream_do_not_depend_on_how_it_arrives(tmp_path: Path) -> None:
    patterns = tmp_path / "patterns.toml"
    patterns.write_text("[doctor]\nlabel = 'NAME'\npattern = 'Dr (?P<value>\\w+)'\n")
    texts = (["Dr Zorba came."], ["Later Zorba left."], ["Dr Zorba", "Zorba"])
    sent = [{"texts": one, "id": str(place), "patient": "p"} for place, one in enumerate(texts)]
    whole = [json.dumps(line).encode() + b"\n" for line in sent]
    with service(redaction=RedactionOptions(patterns=patterns)) as own:
        address = "/redact/stream?min_score=1"
        answers = [stream_in(own, address, pieces) for pieces in (whole, [b"".join(whole)])]
        together = own.post("/redact", json={"documents": sent, "options": {"min_score": 1}})
    assert answers[0] == answers[1]
    assert [line["text"] for line in lines(answers[0].decode())] == [
        "Dr [NAME] came.",
        "Later Zorba left.",
        "Dr [NAME]",
        "[NAME]",
    ]
    assert together.json()["texts"][1]["text"] == "Later [NAME] left."


def test_a_stream_is_longer_than_a_body_may_be(client: TestClient) -> None:
    content = (json.dumps({"text": NOTE}) + "\n") * 2_000
    assert client.post("/annotate", content=content, headers=JSON).status_code == 413
    found = lines(client.post("/annotate/stream", content=content).text)
    assert [line["id"] for line in found] == [str(number) for number in range(1, 2_001)]


def test_a_full_queue_is_told_with_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = served(limits=BatchLimits(waiting_requests=1, delay=0.0))
    started, goes_on = threading.Event(), threading.Event()
    annotate = tagger().annotate

    def wait(*arguments: Any, **options: Any) -> Any:
        started.set()
        assert goes_on.wait(10)
        return annotate(*arguments, **options)

    monkeypatch.setattr(tagger(), "annotate", wait)
    with service(model) as client:
        answers: list[int] = []

        def post() -> None:
            answers.append(client.post("/annotate", json={"texts": [NOTE]}).status_code)

        threads = [threading.Thread(target=post) for _ in range(2)]
        threads[0].start()
        assert started.wait(10)
        threads[1].start()
        while model.batcher.waiting[0] == 0:
            threads[1].join(0.001)
        response = client.post("/annotate", json={"texts": [NOTE]})
        goes_on.set()
        for thread in threads:
            thread.join()
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.json() == {
        "error": "the queue is full. Try again in 1 second, or send fewer requests at once."
    }
    assert answers == [200, 200]


def test_a_client_that_goes_away_takes_its_texts_along(monkeypatch: pytest.MonkeyPatch) -> None:
    model, metrics = served(), ServiceMetrics()
    goes_on = threading.Event()
    monkeypatch.setattr(tagger(), "annotate", lambda *_, **__: goes_on.wait(10))
    app: Any = metrics.count_requests(secure_app(make_service(model).app(), AccessPolicy()))
    messages = [
        {"type": "http.request", "body": json.dumps({"texts": [NOTE]}).encode()},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/annotate",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    asyncio.run(app(scope, receive, send))
    goes_on.set()
    assert sent[0]["status"] == 499
    assert 'path="/annotate",status="499"} 1.0' in metrics.render().decode()
    model.batcher.close()


def test_models_are_described(client: TestClient) -> None:
    found = client.get("/model").json()
    assert found["name"] == "first"
    assert found["labels"] == ["AGE", "NAME"]
    assert found["card"] == "# Card\n"
    assert found["is_calibrated"]
    assert client.get("/model", params={"name": "writer"}).json()["network"] != "tagger"
    assert [model["name"] for model in client.get("/models").json()] == ["first", "writer"]
    assert client.get("/model", params={"name": SECRET}).status_code == 404


def test_the_state_is_told() -> None:
    model = served()
    with service(model) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ok"}
        model.batcher.close()
        assert client.get("/ready").status_code == 503
        assert client.get("/ready").json() == {"status": "ending"}
        assert client.get("/health").status_code == 200


def test_metrics_count_and_hold_no_text() -> None:
    metrics = ServiceMetrics()
    with service(served(metrics=metrics), metrics=metrics) as client:
        client.post("/annotate", json={"texts": [SECRET, NOTE]})
        client.post("/annotate", json={"texts": SECRET})
        client.get(f"/{SECRET}")
        client.request(SECRET, "/health", headers={"host": SECRET})
        found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=")
    assert SECRET not in found.text
    for line in (
        'annoseq_texts_total{model="first"} 2.0',
        'annoseq_requests_total{method="POST",path="/annotate",status="200"} 1.0',
        'annoseq_requests_total{method="POST",path="/annotate",status="422"} 1.0',
        'annoseq_requests_total{method="GET",path="none",status="404"} 1.0',
        'annoseq_requests_total{method="other",path="none",status="421"} 1.0',
        'annoseq_waiting_requests{model="first"} 0.0',
    ):
        assert line in found.text.splitlines()


def test_the_documentation_needs_nothing_from_elsewhere(client: TestClient) -> None:
    assert client.get("/", follow_redirects=False).headers["location"] == "/docs"
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "http" not in page.text.replace("HTTP", "").replace("httpx", "")
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page.text
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")
