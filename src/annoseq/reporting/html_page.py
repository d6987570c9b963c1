"""Self-contained HTML pages with embedded data and images, and the certificate to sign as one."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.atomic_io import atomic_file
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from types import ModuleType

    from jinja2 import Environment
    from markupsafe import Markup

    from annoseq.evaluation.certificate import Certificate


_TEMPLATES = Path(__file__).parent / "templates"
_CARD_LEVEL = 2
"""Level of the heading above the model card, whose own headings are below it."""
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def import_jinja(*, needed_by: str = "--report") -> ModuleType:
    """Import jinja2, which only pages need.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise OptionError(
            f"{needed_by} needs jinja2, which is not installed. Run: pip install 'annoseq[report]'"
        ) from None
    return jinja2


def embed_json(data: Any) -> str:
    r"""Return data as JSON that is safe within a script element, whatever its texts contain.

    >>> print(embed_json("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return "".join(_ESCAPES.get(character, character) for character in text)


def render_markdown(text: str) -> Markup:
    """Render Markdown below a heading of level 2. HTML is escaped; links and images stay text.

    >>> print(render_markdown("# Card of `<b>`"))
    <h3>Card of <code>&lt;b&gt;</code></h3>
    """
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + _CARD_LEVEL, 6)}"
    rendered = markdown.renderer.render(tokens, markdown.options, {})
    return Markup(rendered.strip())


def render_page(data: Any, values: dict[str, Any]) -> str:
    """Render the template; `data` is for the script of the page, `values` are for the template.

    All `values` are escaped, but for those that are markup already.
    """
    environment = make_environment()
    from markupsafe import Markup

    style, script = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    embedded = {"style": Markup(style), "script": Markup(script), "data": Markup(embed_json(data))}
    page: str = environment.get_template("page.html.j2").render(values, **embedded)
    return page


def make_environment() -> Environment:
    """Return the jinja environment of the templates, which escapes all values.

    Raises:
        OptionError: jinja2 is not installed.
    """
    jinja2 = import_jinja()
    environment: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment


_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_MAX_IMAGE_BYTES = 1_000_000
"""A report should stay small enough to be sent."""


class EmbeddedImage(NamedTuple):
    """An image as a `data:` URL, with its name as caption."""

    name: str
    url: str

    @classmethod
    def read(cls, path: Path) -> EmbeddedImage:
        """Read an image.

        Raises:
            OptionError: the file cannot be read, has another format, or is too large.
        """
        media_type = _MEDIA_TYPES.get(path.suffix.lower())
        if media_type is None:
            raise OptionError(
                f"{path}: a picture in a report must end in {' or '.join(_MEDIA_TYPES)}."
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise OptionError(
                f"{path}: cannot be read: {error.strerror}. Name a picture, or leave it off."
            ) from error
        if len(data) > _MAX_IMAGE_BYTES:
            raise OptionError(
                f"{path}: this picture has {len(data):,} bytes, and a report takes pictures of up "
                f"to {_MAX_IMAGE_BYTES:,}. Make it smaller."
            )
        return cls(path.stem, f"data:{media_type};base64,{b64encode(data).decode()}")


def write_certificate_page(certificate: Certificate, path: Path, *, overwrite: bool) -> None:
    """Write a certificate as HTML, whole or not at all.

    Raises:
        OptionError: jinja2 is not installed.
        OutputError: the file exists and may not be overwritten, or cannot be written.
    """
    template = make_environment().get_template("certificate.html.j2")
    page = template.render(certificate=certificate, measured=certificate.measured)
    with atomic_file(path, overwrite=overwrite) as new:
        new.write_text(page, encoding="utf-8")
