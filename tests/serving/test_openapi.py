"""schemathesis calls every operation of the description with data that fit it, and that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annoseq.serving.access import AccessPolicy
from annoseq.serving.server import secure_app
from tests.serving.served import URL, make_service


@schemathesis.serializer("application/x-ndjson")
def serialize_line(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


_APP = make_service().app()
_SCHEMA = schemathesis.openapi.from_dict(_APP.openapi())
_SCHEMA.app = secure_app(_APP, AccessPolicy())
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_is_an_error_of_the_server(mode: GenerationMode) -> None:
    statuses: set[int] = set()

    @given(case=_SCHEMA.as_strategy(mode))
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        response = case.call(base_url=URL)
        statuses.add(response.status_code)
        case.validate_response(response, checks=_CHECKS)

    call()
    assert statuses & {200, 422} == {200, 422} if mode.is_negative else 200 in statuses
