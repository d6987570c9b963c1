from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.testclient import TestClient

from annoseq.data.text_inputs import WellFormedText
from annoseq.errors import OptionError
from annoseq.serving.access import AccessPolicy
from annoseq.serving.request_limits import RequestLimits
from annoseq.serving.security import CONTENT_SECURITY_POLICY, SECURITY_HEADERS
from annoseq.serving.server import secure_app
from tests.serving.test_access import TOKEN, token_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "Ms Ames of Leeds"
URL = "http://127.0.0.1:8000"


class Note(BaseModel, extra="forbid"):
    texts: list[WellFormedText]
    limit: int = 1


def make_app() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def index(request: Request) -> dict[str, Any]:
        return {"user": request.state.user}

    @app.get("/health")
    async def health() -> str:
        return "ok"

    @app.get("/own")
    async def own() -> Response:
        headers = {"content-security-policy": "default-src *", "cache-control": "max-age=9"}
        return Response(headers=headers)

    @app.get("/broken")
    async def broken() -> None:
        raise KeyError(SECRET)

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            raise KeyError(SECRET)

        return StreamingResponse(parts())

    @app.get("/option")
    async def option() -> None:
        raise OptionError("--with is for one kind. Leave it off.")

    @app.post("/notes")
    async def notes(note: Note) -> int:
        return len(note.texts)

    @app.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    return app


def client(access: AccessPolicy | None = None, *, max_body: int = 1_000) -> TestClient:
    limits = RequestLimits(max_body=max_body, streamed_paths=frozenset({"/stream"}))
    app = secure_app(make_app(), access or AccessPolicy(), limits=limits)
    return TestClient(app, base_url=URL)


def test_every_response_has_the_security_headers() -> None:
    for path, status in (("/", 200), ("/nothing", 404), ("/broken", 500), ("/health", 200)):
        response = client().get(path)
        assert response.status_code == status
        assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert "server" not in response.headers
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_an_application_cannot_weaken_the_policy_but_may_let_be_cached() -> None:
    response = client().get("/own")
    assert response.headers.get_list("content-security-policy") == [CONTENT_SECURITY_POLICY]
    assert response.headers.get_list("cache-control") == ["max-age=9"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "10.0.0.1:8000", ""])
def test_another_host_is_refused(host: str) -> None:
    response = client().get("/", headers={"host": host})
    assert response.status_code == 421
    assert response.json() == {
        "error": "the Host header does not name this server. Use the address that it printed, or "
        "start it with --allowed-host."
    }


def test_two_hosts_are_refused() -> None:
    headers = [("host", "127.0.0.1:8000"), ("host", "evil.example")]
    assert client().get("/", headers=headers).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": URL}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://localhost:8000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "file://127.0.0.1:8000"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
    ],
)
def test_pages_of_other_origins_are_refused(headers: dict[str, str], status: int) -> None:
    assert client().get("/", headers=headers).status_code == status


def test_a_form_of_another_page_is_refused() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    response = client().post("/notes", headers=headers, json={"texts": []})
    assert response.status_code == 403
    assert response.json() == {
        "error": "the request comes from a page of another origin, and this server answers its "
        "own pages alone."
    }


def test_cross_origin_requests_are_not_announced() -> None:
    headers = {"origin": URL, "access-control-request-method": "POST"}
    response = client().options("/notes", headers=headers)
    assert response.status_code == 405
    assert response.json() == {"error": "this address does not take this method."}


def test_a_token_is_asked_for_but_not_for_the_health(tmp_path: Path) -> None:
    path = token_file(tmp_path, f"ada {TOKEN}")
    guarded = client(AccessPolicy.choose("0.0.0.0", token_file=path))
    assert guarded.get("/health").json() == "ok"
    refused = guarded.get("/")
    assert refused.status_code == 401
    assert refused.headers.get_list("www-authenticate") == [
        'Bearer realm="annoseq"',
        'Basic realm="annoseq", charset="UTF-8"',
    ]
    assert refused.json() == {
        "error": "a token of the token file is needed. Send it as: Authorization: Bearer TOKEN "
        "(in a browser, as password, with any user name)."
    }
    wrong = guarded.get("/", headers={"authorization": f"Bearer {TOKEN}x"})
    assert wrong.status_code == 401
    two = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x")]
    assert guarded.get("/", headers=two).status_code == 401
    given = guarded.get("/", headers={"authorization": f"Bearer {TOKEN}"})
    assert given.json() == {"user": "ada"}
    assert guarded.get("/", auth=("anyone", TOKEN)).json() == {"user": "ada"}


def test_without_tokens_there_is_no_user() -> None:
    assert client().get("/").json() == {"user": None}


def test_an_internal_error_does_not_tell_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = client().get("/broken")
    assert response.status_code == 500
    assert response.json() == {"error": "internal error. The log of the server says where."}
    assert "KeyError at" in caplog.text
    assert "test_security.py" in caplog.text
    assert SECRET not in caplog.text


def test_an_error_in_a_started_response_is_logged_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert client().get("/half").content == b"first"
    assert "KeyError at" in caplog.text
    assert SECRET not in caplog.text


def test_the_errors_of_the_package_are_answered_as_they_are() -> None:
    response = client().get("/option")
    assert response.status_code == 422
    assert response.json() == {"error": "--with is for one kind. Leave it off."}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "texts: this field is missing."),
        ('{"texts": 3}', "texts: give a list."),
        ('{"texts": [3]}', "texts.0: give a text in quotes."),
        ('{"texts": [], "limit": "Ms Ames"}', "limit: give a whole number."),
        (
            '{"texts": [], "Ms Ames of Leeds": 1}',
            "(a name of 16 characters): this field is not known; leave it out.",
        ),
        ('{"limit": 1.5, "a": 1}', "texts: this field is missing. 2 further problems."),
        ('{"texts": ["Ms Ames', "11: this is no valid JSON (Unterminated string starting at)."),
        ('{"texts": ["\\ud800"]}', "texts.0: the text holds half of a surrogate pair"),
        ("Ms Ames", "0: this is no valid JSON (Expecting value)."),
        ('["Ms Ames"]', "the body: give an object."),
    ],
)
def test_a_wrong_body_is_described_without_a_word_of_it(content: str, message: str) -> None:
    response = client().post(
        "/notes", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code == 422
    assert message in response.json()["error"]
    assert "Ames" not in response.text


def test_deeply_nested_json_is_refused() -> None:
    response = client(max_body=10**6).post(
        "/notes", content="[" * 200_000, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json() == {
        "error": "the request cannot be read. Send JSON that is valid and not deeply nested."
    }


def test_an_unknown_address_is_an_error() -> None:
    response = client().get("/notes/Ms%20Ames")
    assert response.status_code == 404
    assert response.json() == {"error": "nothing is at this address."}
