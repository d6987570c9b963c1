"""Review application: the page and its API, for `secure_app`.

Reviewers are names: that of the token's holder, or what the page sends in the header X-Reviewer,
percent-encoded. Every action is in the project before it is answered.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StringConstraints
from starlette.staticfiles import StaticFiles

from annoseq.data.markup import Span
from annoseq.errors import ReviewError, StaleRevisionError
from annoseq.review.actions import ApplyEverywhere, LabelName, RequestedAction
from annoseq.review.project import MAX_REVIEWER
from annoseq.review.project_view import ProjectView
from annoseq.review.retraining import Retraining
from annoseq.review.review_export import decided_documents, export_line
from annoseq.serving.error_responses import ErrorMessage, error_response

if TYPE_CHECKING:
    from annoseq.review.project import ReviewProject

PAGE = Path(__file__).parent / "page"
"""Static files of the page."""
_MAX_PAGE = 1_000
RequestKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]

mimetypes.add_type("text/javascript", ".js")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ActionRequest(_Body):
    """An action on the document of a revision; `key` tells a repeated request."""

    revision: NonNegativeInt
    action: RequestedAction
    key: RequestKey | None = None


class ReversalRequest(_Body):
    """Undoing or redoing of the last step of the document of a revision."""

    revision: NonNegativeInt
    key: RequestKey | None = None


class SpanRequest(_Body):
    """A span of an adjudication."""

    start: NonNegativeInt
    end: NonNegativeInt
    label: LabelName


class AdjudicationRequest(_Body):
    """The spans that a document shall have."""

    spans: Annotated[list[SpanRequest], Field(max_length=100_000)]


class QueueRequest(_Body):
    """Part of a queue: its order, and a search in the names of documents.

    It is a body because a name may tell who a patient is, and the address of a request is logged by
    programs in front.
    """

    order: str = ""
    label: str | None = None
    search: str = ""
    state: str | None = None
    offset: NonNegativeInt = 0
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE)] = 50


def reviewer_name(request: Request) -> str:
    """Return the name of the reviewer of a request, empty if there is none.

    Raises:
        ReviewError: it is not UTF-8, too long, or no visible characters.
    """
    holder: str | None = getattr(request.state, "user", None)
    if holder is not None:
        return holder
    try:
        name = unquote_to_bytes(request.headers.get("x-reviewer", "")).decode().strip()
    except UnicodeDecodeError as error:
        raise ReviewError("the name of the reviewer is not UTF-8. Send it again.") from error
    if len(name) > MAX_REVIEWER or not name.isprintable():
        raise ReviewError(
            f"the name of the reviewer has more than {MAX_REVIEWER} characters, or characters "
            "that cannot be seen. Choose another name."
        )
    return name


def required_reviewer(name: Annotated[str, Depends(reviewer_name)]) -> str:
    """Return the name of the reviewer of a request.

    Raises:
        ReviewError: there is none.
    """
    if not name:
        raise ReviewError("the request names no reviewer. Give your name first.")
    return name


AnyReviewer = Annotated[str, Depends(reviewer_name)]
Reviewer = Annotated[str, Depends(required_reviewer)]


def make_review_app(project: ReviewProject, retraining: Retraining | None = None) -> FastAPI:
    """Return the application of a project."""
    app = FastAPI(title="annoseq review", openapi_url=None, docs_url=None, redoc_url=None)
    view = ProjectView(project)
    retraining = retraining or Retraining(project)
    app.include_router(_project_routes(view, retraining), prefix="/api")
    for router in (_queue_routes(view), _document_routes(view), _adjudication_routes(view)):
        app.include_router(router, prefix="/api")
    app.add_exception_handler(StaleRevisionError, _answer_stale_revision)
    app.mount("/", StaticFiles(directory=PAGE, html=True, check_dir=False))
    return app


async def _answer_stale_revision(request: Request, error: Exception) -> JSONResponse:
    document = getattr(request.state, "document", None)
    return JSONResponse({"error": str(error), "document": document}, status_code=409)


def _project_routes(view: ProjectView, retraining: Retraining) -> APIRouter:
    router = APIRouter()
    project = view.project

    @router.get("/project")
    def head(request: Request, reviewer: AnyReviewer) -> dict[str, Any]:
        with project.lock:
            return {
                **view.head(reviewer),
                "reviewer": getattr(request.state, "user", None),
                "retraining": retraining.status.to_dict(),
                "can_retrain": retraining.is_possible,
            }

    @router.get("/agreement")
    def agreement() -> dict[str, Any] | None:
        with project.lock:
            return view.agreement()

    @router.post("/retrain", status_code=202, responses={409: {"model": ErrorMessage}})
    def retrain(_: Annotated[dict[str, Any] | None, Body()] = None) -> Response:
        try:
            retraining.start()
        except ReviewError as error:
            return error_response(409, str(error))
        return JSONResponse(retraining.status.to_dict(), status_code=202)

    @router.get("/export")
    def export() -> Response:
        with project.lock:
            lines = [export_line(*decided) + "\n" for decided in decided_documents(project)]
        headers = {"content-disposition": 'attachment; filename="reviewed.jsonl"'}
        return Response("".join(lines), media_type="application/x-ndjson", headers=headers)

    return router


def _queue_routes(view: ProjectView) -> APIRouter:
    router = APIRouter()
    project = view.project

    @router.post("/queue")
    def queue(asked: QueueRequest, reviewer: AnyReviewer) -> dict[str, Any]:
        with project.lock:
            documents = view.queue.documents(
                asked.order or view.queue.orders[0],
                reviewer=reviewer,
                label=asked.label or None,
                search=asked.search,
            )
            if asked.state is not None:
                documents = [
                    each
                    for each in documents
                    if project.document_state(reviewer, each.id) == asked.state
                ]
            page = documents[asked.offset : asked.offset + asked.limit]
            rows = view.queue_rows(page, reviewer=reviewer)
        return {"total": len(documents), "documents": rows}

    @router.get("/next")
    def next_document(
        *,
        reviewer: AnyReviewer,
        order: str = "",
        after: int | None = None,
        label: str | None = None,
    ) -> dict[str, int | None]:
        with project.lock:
            document = view.queue.next(
                order or view.queue.orders[0], reviewer=reviewer, after=after, label=label
            )
        return {"id": None if document is None else document.id}

    return router


def _document_routes(view: ProjectView) -> APIRouter:
    router = APIRouter(prefix="/documents/{id_}")
    project = view.project

    @router.get("")
    def document(id_: int, reviewer: AnyReviewer) -> dict[str, Any]:
        with project.lock:
            return {**view.document(reviewer, id_), **view.text(id_)}

    @router.post("/actions", responses={409: {"model": ErrorMessage}})
    def act(id_: int, body: ActionRequest, reviewer: Reviewer, request: Request) -> dict[str, Any]:
        with project.lock:
            request.state.document = view.document(reviewer, id_)
            changed = project.act(reviewer, id_, body.action, revision=body.revision, key=body.key)
            reply = view.document(reviewer, id_)
        if isinstance(body.action, ApplyEverywhere):
            reply["changed_documents"] = changed
        return reply

    @router.post("/undo", responses={409: {"model": ErrorMessage}})
    def undo(
        id_: int, body: ReversalRequest, reviewer: Reviewer, request: Request
    ) -> dict[str, Any]:
        with project.lock:
            request.state.document = view.document(reviewer, id_)
            project.undo(reviewer, id_, revision=body.revision, key=body.key)
            return view.document(reviewer, id_)

    @router.post("/redo", responses={409: {"model": ErrorMessage}})
    def redo(
        id_: int, body: ReversalRequest, reviewer: Reviewer, request: Request
    ) -> dict[str, Any]:
        with project.lock:
            request.state.document = view.document(reviewer, id_)
            project.redo(reviewer, id_, revision=body.revision, key=body.key)
            return view.document(reviewer, id_)

    return router


def _adjudication_routes(view: ProjectView) -> APIRouter:
    router = APIRouter(prefix="/adjudication")
    project = view.project

    @router.get("")
    def disagreements() -> dict[str, Any]:
        with project.lock:
            return {"documents": view.disagreements()}

    @router.get("/{id_}")
    def disagreement(id_: int) -> dict[str, Any]:
        with project.lock:
            return view.adjudication(id_)

    @router.post("/{id_}")
    def adjudicate(id_: int, body: AdjudicationRequest, reviewer: Reviewer) -> dict[str, Any]:
        with project.lock:
            spans = [Span(span.start, span.end, span.label) for span in body.spans]
            project.adjudicate(reviewer, id_, spans)
            return view.adjudication(id_)

    return router
