"""Documentation tests: examples run, links resolve, and names exist.

The `console` and `python` blocks of the pages in `RUN` are run in order, each page in a folder of
its own, with few rows and tiny networks. The `pycon` blocks of the pages in `DOCTESTS` are compared
with Python's answers. On every other page, commands, options and imports are checked to exist.
"""

from __future__ import annotations

import ast
import doctest
import itertools
import os
import re
import shlex
import subprocess
import sys
import textwrap
from contextlib import ExitStack, contextmanager
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import annoseq
from annoseq.cli import app
from annoseq.data.markup import strip_tags
from tests.cli.command import finish, run, snapshot, start

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "annoseq"
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.md")])
REPORTS = sorted(ROOT.glob("benchmarks/*.md"))

RUN = (
    "README.md",
    "docs/tutorials/first-model.md",
    "docs/tutorials/from-fastai.md",
    "docs/how-to/annotate.md",
    "docs/how-to/audit.md",
    "docs/how-to/certify.md",
    "docs/how-to/data.md",
    "docs/how-to/evaluate.md",
    "docs/how-to/import-export.md",
    "docs/how-to/integrations.md",
    "docs/how-to/learning-curve.md",
    "docs/how-to/onnx.md",
    "docs/how-to/pretrain.md",
    "docs/how-to/redact.md",
    "docs/how-to/report.md",
    "docs/how-to/review.md",
    "docs/how-to/scale.md",
    "docs/how-to/serve.md",
    "docs/how-to/sweep.md",
    "docs/how-to/teachers.md",
    "docs/how-to/train.md",
    "docs/how-to/word-vectors.md",
)
DOCTESTS = ("docs/reference/markup.md",)

FEWER_ROWS = ("--rows 4000", "--rows 24")
"""In `console` blocks, the first is replaced by the second."""
SIZES = {
    "tagger": ("--tagger.hidden", "8", "--tagger.buckets", "1024"),
    "gru": ("--gru.embedding", "8", "--gru.hidden", "8"),
    "attention": ("--attention.embedding", "8", "--attention.hidden", "8"),
}
"""Options of a tiny network, added to commands that train."""
TINY_VECTORS = ("--buckets", "1000", "--epochs", "1", "--width", "8")
SMALLER = {
    "Learner(dataset)": "Learner(dataset, model=TaggerConfig(hidden=8, buckets=1024))",
    "GruConfig()": "GruConfig(embedding=8, hidden=8)",
}
"""In `python` blocks, the keys are replaced by the values."""

SERVERS = frozenset({"label-studio", "serve"})
"""Commands that run until a signal ends them: in `sh` blocks, or for the rest of their page."""
ADDRESS = "http://127.0.0.1:8000"
"""Address of a server in the documentation; in tests it has a free port."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
_COMMAND = re.compile(r"(?<!from )\bannoseq ([a-z][a-z-]*)(.*)")
_PROSE = re.compile(r"(?! {4}|[|#>:-]|\d+\. |[a-z_]+: )\s*\S")
"""A line of a paragraph: no code, table, heading, list item, quotation or front matter."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks: language and content."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    """Return the commands of a page's `console` blocks."""
    lines = [line for kind, body in blocks(page) if kind == "console" for line in body.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def code(page: Path) -> Iterator[str]:
    """Yield every line of a page's code that a reader could type: fenced, or in the prose."""
    text = page.read_text(encoding="utf-8")
    for language, body in _FENCE.findall(text):
        if language == "text":  # of a transcript the commands alone, not their output
            yield from (line for line in body.splitlines() if line.startswith("$ "))
        else:
            yield from body.splitlines()
    yield from _INLINE.findall(_FENCE.sub("", text))


@cache
def options(verb: str) -> frozenset[str]:
    """Return the options that a command takes, or any of the commands below it."""
    group = app[verb]
    below = [group[name] for name in group if not name.startswith("-")]
    verbs_ = [command for command in (group, *below) if command.default_command]
    arguments = [item for verb_ in verbs_ for item in verb_.assemble_argument_collection()]
    names = {name for argument in arguments for name in argument.names}
    return frozenset(names | {"--help", "--version"})


def verbs() -> set[str]:
    return {name for name in app if not name.startswith("-")}


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"^#+ (.+)$", text, re.M)


def smaller(verb: str, arguments: list[str]) -> tuple[str, ...]:
    """Return the options that make a command cheap."""
    if (verb, arguments[0]) == ("vectors", "train"):
        return TINY_VECTORS
    if verb not in {"train", "find-lr", "curve", "audit", "ensemble"}:
        return SIZES["tagger"] if verb == "pretrain" else ()
    if verb == "curve":
        return (*SIZES["tagger"], "--epochs", "1", "--repeats", "1", "--workers", "1")
    if verb in {"audit", "ensemble"}:
        return (*SIZES["tagger"], "--epochs", "1", "--folds", "2", "--workers", "1")
    epochs = () if verb == "find-lr" or "--epochs" in arguments else ("--epochs", "2")
    if "--go-on-from" in arguments:
        return epochs
    model = arguments[arguments.index("--model") + 1] if "--model" in arguments else "tagger"
    return (*SIZES[model], *epochs)


def run_command(command: str) -> None:
    program, verb, *arguments = shlex.split(command.replace(*FEWER_ROWS))
    assert program == "annoseq"
    result = run(verb, *arguments, *smaller(verb, arguments))
    assert (command, result.code) == (command, 0), result.err


@contextmanager
def serving(command: str) -> Iterator[str]:
    """Start a server, and yield its address; end it as a user would."""
    process = start(*shlex.split(command)[1:], "--port", "0")
    try:
        lines = iter(process.stderr or ())
        address = next(line.split()[2] for line in lines if line.startswith("serving at"))
        yield address
        process.terminate()
        assert finish(process).code == 0
    finally:
        process.kill()


def run_page(page: Path) -> None:
    """Run the `console` and `python` blocks of a page in the working directory."""
    names: dict[str, object] = {"TaggerConfig": annoseq.TaggerConfig}
    shorter = dict(SMALLER)
    with ExitStack() as servers:
        for kind, body in blocks(page):
            if kind == "console":
                for line in body.splitlines():
                    command = line.removeprefix("$ ")
                    if line.startswith("$ ") and command.split()[1] in SERVERS:
                        shorter[ADDRESS] = servers.enter_context(serving(command))
                    elif line.startswith("$ "):
                        run_command(command)
            elif kind == "python":
                for long, short in shorter.items():
                    body = body.replace(long, short)  # noqa: PLW2901
                exec(compile(body, str(page), "exec"), names)


ROAD = re.findall(r"^\|.*\| `(annoseq .*)` \|$", README.read_text(encoding="utf-8"), re.M)
"""The commands from a corpus to redacted notes: the table that begins with "I have"."""
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford", "Gray", "Hill", "Jones", "King")
FAST = ("--epochs", "12", "--batch-size", "4", "--max-lr", "3e-2", "--device", "cpu")
"""A tagger this small learns ten names in that time."""


@pytest.mark.parametrize("name", DOCTESTS)
def test_doctests_of_a_page_pass(name: str) -> None:
    failed, tried = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert tried > 0
    assert failed == 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", RUN)
def test_the_examples_of_a_page_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(ROOT / name)
    words = {word for command in commands(ROOT / name) for word in shlex.split(command)}
    made = {path.name for path in tmp_path.iterdir()}
    outputs = {word for word in words if re.fullmatch(r"\w+\.(csv|jsonl|json|png|html)", word)}
    assert outputs <= made


def test_every_page_with_console_blocks_is_run() -> None:
    shown = {page.relative_to(ROOT).as_posix() for page in PAGES if commands(page)}
    assert shown - set(RUN) == set()


def test_every_command_has_an_example() -> None:
    shown = {shlex.split(command)[1] for page in PAGES for command in commands(page)}
    shown |= {shlex.split(command)[1] for command in ROAD}
    scripts = (body for page in PAGES for kind, body in blocks(page) if kind == "sh")
    started = {verb for body in scripts for verb, _ in _COMMAND.findall(body)}
    assert verbs() - shown - (started & SERVERS) == set()


@pytest.mark.e2e
def test_the_road_from_a_corpus_to_redacted_notes_can_be_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("corpus", "notes"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate(NAMES):
        note = f"Dear Dr. {name}:\nSeen on {{}} May."
        (tmp_path / "corpus" / f"{name}.txt").write_text(note.format(number + 1))
        covered = f"T1\tNAME 9 {9 + len(name)}\t{name}\n"
        (tmp_path / "corpus" / f"{name}.ann").write_text(covered)
        (tmp_path / "notes" / f"{name}.txt").write_text(note.format(31 - number))
    before = snapshot(tmp_path / "notes")
    assert len(ROAD) == 4
    for command in ROAD:
        _, verb, *arguments = shlex.split(command)
        small = (*SIZES["tagger"], *FAST) if verb == "train" else ()
        result = run(verb, *arguments, *small)
        assert (command, result.code) == (command, 0), result.err
    assert snapshot(tmp_path / "notes") == before
    for name in NAMES:
        redacted = (tmp_path / "clean" / f"{name}.txt").read_text()
        assert name not in redacted
        assert re.fullmatch(r"Dear Dr\. \w+:\nSeen on \d+ May\.", redacted)
        marked = (tmp_path / "look" / f"{name}.txt").read_text()
        assert re.fullmatch(r"Dear Dr\. {{NAME}}(\w+){{/NAME}}:\nSeen on \d+ May\.", marked)
        assert strip_tags(marked) == redacted


def test_python_in_the_documentation_imports_what_there_is() -> None:
    missing = []
    for page in PAGES:
        for kind, body in blocks(page):
            if kind != "python":
                continue
            for node in ast.walk(ast.parse(textwrap.dedent(body))):
                if isinstance(node, ast.ImportFrom) and node.module == "annoseq":
                    names = {alias.name for alias in node.names} - set(annoseq.__all__)
                    missing += [(page.name, name) for name in names]
    assert missing == []


def test_relative_links_resolve() -> None:
    broken = []
    for page in [*PAGES, *REPORTS]:
        for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = page if not path else page.parent / path
            if not target.exists() or (anchor and anchor not in map(slug, headings(target))):
                broken.append((page.name, link))
    assert broken == []


def test_commands_and_options_exist() -> None:
    every = frozenset().union(*map(options, verbs()))
    wrong = []
    for page in PAGES:
        for line in code(page):
            for verb, rest in _COMMAND.findall(line):
                if verb not in verbs() or not set(_OPTION.findall(rest)) <= options(verb):
                    wrong.append((page.name, line))
            if line.startswith("--") and not set(_OPTION.findall(line)) <= every:
                wrong.append((page.name, line))
    assert wrong == []


def test_the_readme_has_a_row_for_every_command() -> None:
    rows = re.findall(r"^\| `annoseq ([a-z-]+)` \|", README.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(verbs())


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        for line in code(page):
            assert set(re.findall(r"^make ([\w-]+)", line)) <= targets, line


def test_no_line_of_prose_is_cut_in_mid_phrase() -> None:
    cut = []
    for page in PAGES:
        lines = _FENCE.sub("\n", page.read_text(encoding="utf-8")).splitlines()
        for line, following in itertools.pairwise(lines):
            if _PROSE.match(line) and _PROSE.match(following) and line[-1] not in ".:?!":
                cut.append(f"{page.name}: {line}")
    assert cut == []


def test_the_map_names_every_module_and_room() -> None:
    named = {line for line in code(ARCHITECTURE) if re.fullmatch(r"[\w/]+(\.py|/)", line)}
    named -= {"src/annoseq/"}
    elsewhere = {name for name in named if name.startswith(("tests/", "benchmarks/"))}
    assert [name for name in sorted(elsewhere) if not (ROOT / name).exists()] == []
    named -= elsewhere
    assert [name for name in sorted(named) if not (SOURCE / name).exists()] == []
    folders = tuple(name for name in named if name.endswith("/"))
    modules = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    unnamed = {name for name in modules - named if not name.startswith(folders)}
    assert {name for name in unnamed if not name.endswith("__init__.py")} == set()
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert rooms - set(headings(ARCHITECTURE)) == set()


def test_the_map_answers_questions() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| Where .*\? \| (.*) \|$", text, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 42))
    answers = {name for _, answer in rows for name in _INLINE.findall(answer)}
    assert [name for name in sorted(answers) if not (SOURCE / name).is_file()] == []


def test_the_reference_has_an_entry_for_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: annoseq\.(\w+)$", text, re.M)
    assert sorted(names) == sorted(set(annoseq.__all__) - {"__version__"})


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert annoseq.__version__ in text


class LoadedResources(HTMLParser):
    """Collects the addresses that a page loads when it is opened; links to follow are not."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what `src` names, and `href` of a `link` that is loaded."""
        values = dict(attrs)
        address = values.get("src")
        if tag == "link" and values.get("rel") not in {"canonical", "prev", "next"}:
            address = values.get("href")
        if address:
            self.addresses.append(address)


@pytest.mark.e2e
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        parser = LoadedResources()
        parser.feed(text)
        assert [link for link in parser.addresses if "//" in link] == [], page
        assert "<!-- options of every command -->" not in text
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet
    cli = (tmp_path / "reference" / "cli.html").read_text(encoding="utf-8")
    assert [verb for verb in sorted(verbs()) if f'id="annoseq-{verb}"' not in cli] == []
