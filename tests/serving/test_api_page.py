from __future__ import annotations

from annoseq.serving.api_page import render_api_page

SCHEMA = {
    "info": {"title": "<annoseq>", "version": "1", "description": "Reads & writes."},
    "paths": {
        "/a": {
            "post": {
                "operationId": "a_post",
                "description": "Do <it>.",
                "parameters": [
                    {"name": "n", "schema": {"type": "integer", "minimum": 1, "default": 5}}
                ],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Body"},
                            "example": {"x": 1},
                        }
                    }
                },
                "responses": {
                    "200": {"description": "Good.", "content": {"text/plain": {"schema": {}}}}
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Body": {
                "description": "A body.",
                "required": ["x"],
                "properties": {
                    "x": {"type": "array", "items": {"type": "string", "maxLength": 3}},
                    "y": {"anyOf": [{"enum": ["b", "c"]}, {"type": "null"}], "description": "Y."},
                },
            }
        }
    },
}


def test_a_description_becomes_a_page_without_scripts() -> None:
    page = render_api_page(SCHEMA, style="/s.css", description="/o.json")
    assert page.startswith("<!doctype html>")
    assert '<link rel="stylesheet" href="/s.css">' in page
    for part in (
        "&lt;annoseq&gt; 1",
        '<span class="method">POST</span> <code>/a</code>',
        "Do &lt;it&gt;.",
        "<td><code>n</code></td><td>integer at least 1</td><td>5</td>",
        '<a href="#Body">Body</a>',
        "<td><code>x</code></td><td>list of string of at most 3</td><td>required</td>",
        "&quot;b&quot;, &quot;c&quot; or null",
        "<td>Y.</td>",
        "<tr><td>200</td><td>any <code>text/plain</code></td><td>Good.</td></tr>",
    ):
        assert part in page
    assert "<annoseq>" not in page
    assert "<script" not in page
    assert "style=" not in page
