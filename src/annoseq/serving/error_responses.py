"""Errors of requests as responses in the house's words: none of them quotes what was sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from annoseq.errors import AnnoseqError, count_noun, describe_expected, display_name
from annoseq.serving.security import INTERNAL_ERROR

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from fastapi import FastAPI, Request
    from pydantic_core import ErrorDetails

_WORDS = {
    400: "the request cannot be read. Send JSON that is valid and not deeply nested.",
    404: "nothing is at this address.",
    405: "this address does not take this method.",
}
"""Messages of the statuses that the framework gives by itself."""
_JSON = "application/json"
_CLIENT_GONE = 499
"""Status of a request whose client went away, as nginx counts it: nobody sees it."""
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_PROBLEMS = {
    "bool_type": "give true or false",
    "dict_type": "give an object",
    "extra_forbidden": "this field is not known; leave it out",
    "int_type": "give a whole number",
    "list_type": "give a list",
    "missing": "this field is missing",
    "model_attributes_type": "give an object",
    "model_type": "give an object",
    "string_type": "give a text in quotes",
    "string_unicode": "the text holds half of a surrogate pair (\\ud800 to \\udfff); send whole "
    "characters",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "string_too_short": "give at least {min_length} characters",
    "string_too_long": "give at most {max_length} characters",
}
"""Problems by pydantic's type of error; others are described by what is expected."""


class ErrorMessage(BaseModel):
    """Error of a request: what was found, what was expected, what to do."""

    error: str


def install_error_responses(app: FastAPI) -> None:
    """Let an application answer every error of a request as an `ErrorMessage`."""
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(AnnoseqError, _answer_annoseq_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_internal_error)


def error_response(
    status: int, message: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the response of an error."""
    return JSONResponse({"error": message}, status_code=status, headers=headers)


async def _answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    known = cast("RequestValidationError", error)
    if isinstance(known.body, bytes):  # which the framework leaves as it is if it is not JSON
        kind = display_name(request.headers.get("content-type", "none").partition(";")[0])
        return error_response(
            415, f"the body has the content type {kind}. Send JSON, with Content-Type: {_JSON}."
        )
    return error_response(422, describe_request_error(known.errors()))


async def _answer_http_exception(_: Request, error: Exception) -> JSONResponse:
    error = cast("HTTPException", error)
    is_default = error.status_code in _WORDS and error.detail in _FRAMEWORK_DETAILS
    message = _WORDS[error.status_code] if is_default else str(error.detail)
    return error_response(error.status_code, message, headers=error.headers)


_FRAMEWORK_DETAILS = {
    "Not Found",
    "Method Not Allowed",
    "Bad Request",
    "There was an error parsing the body",
}


async def _answer_nobody(_: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)


async def _answer_internal_error(_: Request, _error: Exception) -> JSONResponse:
    return error_response(500, INTERNAL_ERROR)


async def _answer_annoseq_error(_: Request, error: Exception) -> JSONResponse:
    return error_response(422, str(error))


def to_field_names(message: str, names: Container[str] | None = None) -> str:
    """Write the options of a message as the fields of a request, those in `names` if it is given.

    >>> to_field_names("--min-score leaves alone what --key does.", {"min_score"})
    '`min_score` leaves alone what --key does.'
    """

    def rename(option: re.Match[str]) -> str:
        name = option[1].replace("-", "_")
        return f"`{name}`" if names is None or name in names else option[0]

    return _OPTION.sub(rename, message)


def describe_request_error(details: Sequence[ErrorDetails | Mapping[str, Any]]) -> str:
    """Return the place and the problem of the first validation error of a request, and the number.

    >>> describe_request_error([{"type": "missing", "loc": ("body", "texts"), "msg": ""}])
    'texts: this field is missing.'
    """
    known = cast("Sequence[ErrorDetails]", details)
    first = known[0]
    place = _place(first["loc"])
    others = [detail for detail in known[1:] if _place(detail["loc"]) != place]
    more = f" {count_noun(len(others), 'further problem')}." if others else ""
    return f"{place}: {_problem(first, known)}.{more}"


def _problem(first: ErrorDetails, details: Sequence[ErrorDetails]) -> str:
    kind, context = first["type"], first.get("ctx", {})
    if kind == "json_invalid":
        return f"this is no valid JSON ({context.get('error', 'it ends too early')})"
    if kind == "value_error":  # a validator of ours
        return to_field_names(first["msg"].removeprefix("Value error, ").removesuffix("."))
    if kind in _PROBLEMS:
        return _PROBLEMS[kind].format(**context)
    if expected := describe_expected(
        detail for detail in details if detail["loc"][:-1] == first["loc"][:-1]
    ):
        return f"give {expected}"
    return "this value cannot be used"


def _place(location: Sequence[int | str]) -> str:
    """Return the place of a field, without `body` and with no key that may be a text."""
    parts = [
        str(part) if isinstance(part, int) else display_name(part)
        for part in location
        if part not in {"body", "query", "path"}
    ]
    return ".".join(parts) or "the body"
