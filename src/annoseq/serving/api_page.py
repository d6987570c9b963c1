"""Page that documents the service: its OpenAPI description as plain HTML, without a script."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 { border-top: 1px solid #8888; padding-top: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #8882; border-radius: 4px; overflow-x: auto; padding: .75rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8886; padding: .25rem .75rem .25rem 0; text-align: left;
  vertical-align: top; }
.method { background: #1565c0; border-radius: 4px; color: #fff; font-size: 14px;
  padding: .1rem .5rem; }
"""
"""Style sheet of the page; the security policy allows none within it."""


def api_pages(app: FastAPI) -> APIRouter:
    """Return the routes of the documentation of an application."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index() -> Response:
        return RedirectResponse("/docs")

    @router.get("/docs")
    async def page() -> Response:
        page = render_api_page(app.openapi(), style="/docs/style.css", description="/openapi.json")
        return HTMLResponse(page)

    @router.get("/docs/style.css")
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    return router


def render_api_page(schema: Mapping[str, Any], *, style: str, description: str) -> str:
    """Render an OpenAPI description; `style` and `description` are addresses."""
    body = "\n".join(
        [
            f"<h1>{escape(schema['info']['title'])} {escape(schema['info']['version'])}</h1>",
            f"<p>{escape(schema['info'].get('description', ''))}</p>",
            f'<p>For programs: <a href="{escape(description)}">the OpenAPI description</a>.</p>',
            *_operations(schema),
            "<h1>Objects</h1>",
            *_objects(schema),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(schema['info']['title'])}</title>"
        f'<link rel="stylesheet" href="{escape(style)}"></head>\n<body><main>\n{body}\n'
        "</main></body></html>\n"
    )


def _operations(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            yield (
                f'<h2 id="{escape(operation["operationId"])}"><span class="method">'
                f"{method.upper()}</span> <code>{escape(path)}</code></h2>"
            )
            yield f"<p>{escape(operation.get('description', name))}</p>"
            yield from _parameters(operation)
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"<h3>Body: {escape(kind)}</h3><p>{_type(content.get('schema', {}))}</p>"
                if "example" in content:
                    yield f"<pre>{escape(_example(content['example']))}</pre>"
            yield "<h3>Responses</h3><table><tr><th>status</th><th>content</th><th></th></tr>"
            for status, response in operation["responses"].items():
                contents = response.get("content", {}).items()
                kinds = ", ".join(
                    f"{_type(content.get('schema', {}))} <code>{escape(kind)}</code>"
                    for kind, content in contents
                )
                text = escape(response.get("description", ""))
                yield f"<tr><td>{escape(status)}</td><td>{kinds}</td><td>{text}</td></tr>"
            yield "</table>"


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    if not operation.get("parameters"):
        return
    yield "<h3>Parameters</h3>"
    rows = [
        (parameter["name"], parameter["schema"], parameter.get("description", ""))
        for parameter in operation["parameters"]
    ]
    yield from _fields(rows, required=set())


def _objects(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, content in sorted(schema.get("components", {}).get("schemas", {}).items()):
        yield f'<h2 id="{escape(name)}"><code>{escape(name)}</code></h2>'
        yield f"<p>{escape(content.get('description', ''))}</p>"
        rows = [
            (field, value, value.get("description", ""))
            for field, value in content.get("properties", {}).items()
        ]
        yield from _fields(rows, required=set(content.get("required", ())))


def _fields(rows: list[tuple[str, Mapping[str, Any], str]], *, required: set[str]) -> Iterator[str]:
    yield "<table><tr><th>name</th><th>type</th><th>default</th><th></th></tr>"
    for name, value, text in rows:
        default = "required" if name in required else escape(_default(value))
        yield (
            f"<tr><td><code>{escape(name)}</code></td><td>{_type(value)}</td><td>{default}</td>"
            f"<td>{escape(text)}</td></tr>"
        )
    yield "</table>"


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "" if default is None or isinstance(default, dict) else json.dumps(default)


def _type(value: Mapping[str, Any]) -> str:
    """Return the type of a value as HTML, with links to objects."""
    if reference := value.get("$ref"):
        name = reference.rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    for choice in ("anyOf", "allOf", "oneOf"):
        if choice in value:
            return " or ".join(map(_type, value[choice]))
    if "enum" in value or "const" in value:
        return ", ".join(
            escape(json.dumps(item)) for item in value.get("enum", [value.get("const")])
        )
    if value.get("type") == "array":
        return f"list of {_type(value.get('items', {}))}"
    limits = [
        f"{words} {value[key]:g}"
        for key, words in _LIMITS.items()
        if isinstance(value.get(key), int | float)
    ]
    return escape(" ".join([str(value.get("type", "any")), *limits]))


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "of at least",
    "maxLength": "of at most",
}


def _example(example: object) -> str:
    if isinstance(example, str):
        return example
    return json.dumps(example, indent=2, ensure_ascii=False)
