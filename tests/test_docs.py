"""What the documentation says can be typed, followed and run."""

from __future__ import annotations

import ast
import doctest
import re
import shlex
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import annoseq
from annoseq.cli import app
from annoseq.data.markup import strip_tags
from tests.cli.command import run, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.md")])
ids = [page.relative_to(ROOT).as_posix() for page in PAGES]

FEWER_ROWS = ("--rows 4000", "--rows 24")
"""In blocks marked `console`, the first is replaced by the second."""
ELSEWHERE = {"prepare", "sweep", "vectors", "score", "compare"}
"""Commands that the README names in its table, and other pages show."""
SMALL_TAGGER = ("--tagger.hidden", "8", "--tagger.buckets", "1024")
SMALL_GRU = ("--gru.embedding", "8", "--gru.hidden", "8")
SMALLER = {"find-lr": SMALL_GRU, "train": (*SMALL_TAGGER, "--epochs", "2")}
"""What is added to these commands in blocks marked `console`."""
SMALL_ATTENTION = ("--attention.embedding", "8", "--attention.hidden", "8")
"""The same where the network is another."""
SMALL_LEARNER = ("Learner(dataset)", "Learner(dataset, model=GruConfig(embedding=8, hidden=8))")
"""In blocks marked `python`, the first is replaced by the second."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
_COMMAND = re.compile(r"(?<!from )\bannoseq ([a-z][a-z-]*)(.*)")


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of a kind."""
    text = page.read_text(encoding="utf-8")
    return [body for language, body in _FENCE.findall(text) if language == kind]


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
    commands = [command for command in (group, *below) if command.default_command]
    arguments = [one for command in commands for one in command.assemble_argument_collection()]
    found = {name for one in arguments for name in one.names}
    return frozenset(found | {"--help", "--version"})


def verbs() -> set[str]:
    return {name for name in app if not name.startswith("-")}


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"^#+ (.+)$", text, re.M)


ROAD = re.findall(r"^\|.*\| `(annoseq .*)` \|$", README.read_text(encoding="utf-8"), re.M)
"""What is typed, one after the other, in the table that begins with what a reader has."""
NAMES = ("Ames", "Bond", "Cole", "Dale", "Earl", "Ford", "Gray", "Hill", "Jones", "King")
FAST = ("--epochs", "12", "--batch-size", "4", "--max-lr", "3e-2", "--device", "cpu")
"""A tagger this small learns ten names in that time."""


@pytest.mark.parametrize("name", ["markup.md"])
def test_the_examples_of_a_page_are_true(name: str) -> None:
    path = str(ROOT / "docs" / name)
    failed, tried = doctest.testfile(path, module_relative=False, encoding="utf-8")
    assert tried > 0
    assert failed == 0


def test_the_commands_and_the_python_lines_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks(README, "console") for line in block.splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for command in commands:
        program, verb, *arguments = shlex.split(command.replace(*FEWER_ROWS))
        assert program == "annoseq"
        small = SMALL_ATTENTION if "attention" in arguments else SMALLER.get(verb, ())
        result = run(verb, *arguments, *small)
        assert (command, result.code) == (command, 0), result.err
    shown = {shlex.split(command)[1] for command in [*commands, *ROAD]}
    assert shown == verbs() - ELSEWHERE
    names = {"GruConfig": annoseq.GruConfig}
    for block in blocks(README, "python"):
        assert SMALL_LEARNER[0] in block
        exec(compile(block.replace(*SMALL_LEARNER), str(README), "exec"), names)
    made = {"pairs.csv", "lr.png", "curves.png", "model", "scores.json", "annotated.jsonl"}
    made |= {"better", "notes-model", "losses.png"}
    assert {path.name for path in tmp_path.iterdir()} >= made


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
        small = (*SMALL_TAGGER, *FAST) if verb == "train" else ()
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


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_in_the_documentation_imports_what_there_is(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(textwrap.dedent(block))):
            if isinstance(node, ast.ImportFrom) and node.module == "annoseq":
                assert {alias.name for alias in node.names} <= set(annoseq.__all__)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_relative_links_resolve(page: Path) -> None:
    links = _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        assert target.exists(), link
        if anchor:
            assert anchor in map(slug, headings(target)), link


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_exist(page: Path) -> None:
    every = frozenset().union(*map(options, verbs()))
    for line in code(page):
        for verb, rest in _COMMAND.findall(line):
            assert verb in verbs(), line
            assert set(_OPTION.findall(rest)) <= options(verb), line
        if line.startswith("--"):
            assert set(_OPTION.findall(line)) <= every, line


def test_the_readme_has_a_row_for_every_command() -> None:
    rows = re.findall(r"^\| `annoseq ([a-z-]+)` \|", README.read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(verbs())


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        for line in code(page):
            assert set(re.findall(r"^make ([\w-]+)", line)) <= targets, line


def test_the_map_names_files_and_rooms_that_are_there() -> None:
    page = ROOT / "docs" / "architecture.md"
    source = ROOT / "src" / "annoseq"
    named = {line for line in code(page) if re.fullmatch(r"[\w/]+(\.py|/)", line)}
    named -= {"src/annoseq/"}
    elsewhere = {name for name in named if name.startswith(("tests/", "benchmarks/"))}
    assert [name for name in sorted(named - elsewhere) if not (source / name).exists()] == []
    assert [name for name in sorted(elsewhere) if not (ROOT / name).exists()] == []
    rooms = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert rooms - set(headings(page)) == set()


def test_the_changelog_speaks_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert annoseq.__version__ in text
