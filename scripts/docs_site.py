"""mkdocs hooks: pages from outside `docs/`, and the command-line reference.

The benchmark reports, the notebook and the project's own pages stay where they are in the
repository. The site has copies of them at the same paths, and links that leave `docs/` are
rewritten to match, so that the same link works in the repository and on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

from annoseq.cli import app

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("benchmarks/*.md", "benchmarks/*.png", "notebooks/*.md", "C*.md", "constraints.txt")
CLI_MARKER = "<!-- options of every command -->"

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside `docs/`."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            uri = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between `docs/` and the rest, and fill in the options of every command."""
    uri = page.file.src_uri
    source = uri if (ROOT / uri).exists() else f"docs/{uri}"
    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: relink(link[1], source), part) for part in parts[::2]]
    text = "".join(parts)
    return text.replace(CLI_MARKER, command_reference()) if CLI_MARKER in text else text


def relink(link: str, source: str) -> str:
    """Return a link of a file of the repository as the site has it.

    >>> relink("../../benchmarks/eole.md", "docs/reference/models.md")
    '../benchmarks/eole.md'
    >>> relink("docs/architecture.md", "CONTRIBUTING.md")
    'architecture.md'
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    folder = posixpath.dirname(source.removeprefix("docs/"))
    return posixpath.relpath(target.removeprefix("docs/"), folder or ".")


def command_reference() -> str:
    """Return the options of every command, as its `--help` has them."""
    text = app.generate_docs(heading_level=2, flatten_commands=True)
    return text[text.index("\n## annoseq ") :]  # the first command, after the list of all
