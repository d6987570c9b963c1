r"""CoNLL: a token on each line with its tag in the last column, a blank line between sentences.

The tags may be IOB1, IOB2, BIOES or BILOU. A column in between may say what follows a token, as
CoNLL-U and UDPipe have it (`SpaceAfter=No`, `SpacesAfter=\s\s\n`). Where none does, tokens are
joined with spaces and sentences with line ends, so that the text is not the original's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.streams import read_lines
from annoseq.errors import FormatError
from annoseq.formats.capabilities import Holds, holdable, one_word, without_nul
from annoseq.formats.documents import Document, Mention, mention

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import Losses

HOLDS = Holds(labels=one_word, texts=without_nul)

_START = "-DOCSTART-"
_TAG = re.compile(r"O|([BIESLUM])-(\S+)")
_SPACES = re.compile(r"(?:^|\|)(?:SpacesAfter=(?P<spaces>[^|]*)|(?P<none>SpaceAfter=No))(?=\||$)")
_ID = re.compile(r"(?:^|\|)id=([^|]*)")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc(?:\s+id\s*=\s*(.*))?")
_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
_ESCAPES = {"\\": r"\\", " ": r"\s", "\t": r"\t", "\r": r"\r", "\n": r"\n", "|": r"\p"}
_PLAIN = {written: character for character, written in _ESCAPES.items()}


@dataclass
class _Draft:
    """A document while it is read."""

    id: str
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    mentions: list[Mention] = field(default_factory=list)
    opened: tuple[int, str] | None = None  # start and label of the mention that may go on
    last_end: int = 0  # the end of the last token
    gap: str = ""  # what follows it
    is_gap_said: bool = True

    def add(self, token: str, gap: str | None, tag: re.Match[str]) -> None:
        self._write(self.gap)
        kind, label = tag[1] or "O", tag[2] or ""
        if self.opened and (kind in "OBSU" or label != self.opened[1]):
            self.close()
        start = self.length
        self._write(token)
        self.last_end = self.length
        if kind != "O":
            self.opened = self.opened or (start, label)
        if kind in "ESLU":
            self.close()
        self.gap, self.is_gap_said = (" ", False) if gap is None else (gap, True)

    def close(self) -> None:
        """End the mention that is open."""
        if self.opened:
            self.mentions.append(mention(self.opened[0], self.last_end, self.opened[1]))
            self.opened = None

    def end_sentence(self) -> None:
        if not self.is_gap_said:
            self.close()
            self.gap = "\n"

    def finished(self) -> Document:
        self.close()
        if self.is_gap_said:
            self._write(self.gap)
        return Document(self.id, "".join(self.pieces), tuple(self.mentions))

    def _write(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)


def read(path: Path, *, token_column: int, tag_column: int) -> Iterator[Document]:
    """Read a file of columns parted by tabs, or else by white space.

    Columns are counted from 0; negative ones from the end. Documents begin with `-DOCSTART-` or
    `# newdoc id = NAME`; without any, the file is one.

    Raises:
        FormatError: lines have different numbers of columns, or a tag is none.
    """
    lines = read_lines(path)
    delimiter = "\t" if any("\t" in line for line in lines) else None
    drafts: list[_Draft] = []
    width = 0
    for number, line in enumerate(lines, 1):
        place = f"{path}: line {number}"
        fields = line.split(delimiter)
        if not line.strip():
            if drafts:
                drafts[-1].end_sentence()
        elif begun := _beginning(line, fields, len(drafts) + 1):
            drafts.append(begun)
        elif _is_comment(line, fields, width):
            continue
        else:
            width = width or len(fields)
            _check_width(fields, width, max(token_column, tag_column, 1), place)
            if not drafts:
                drafts.append(_Draft(path.stem))
            tag = _TAG.fullmatch(fields[tag_column])
            if tag is None:
                raise FormatError(
                    f"{place}: the tag column {tag_column} holds neither O nor a prefix such as "
                    "B- or I- with a label. Name the right one with --tag-column."
                )
            drafts[-1].add(fields[token_column], _gap(fields), tag)
    if not drafts:
        raise FormatError(f"{path}: there is no token in it. Name a file with a token on a line.")
    for draft in drafts:
        yield draft.finished()


def write(documents: Iterable[Document], path: Path, *, losses: Losses) -> None:
    """Write one file with three columns: the token, what follows it, and its tag in IOB2."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in holdable(documents, HOLDS, losses):
            tokens = _tokens(_tightened(document, losses))
            lead = tokens.pop(0)[0] if tokens and tokens[0][0].isspace() else ""
            begin = f"|SpacesAfter={_escaped(lead)}" if lead else ""
            stream.write(f"{_START}\tid={_escaped(document.id)}{begin}\tO\n\n")
            for index, (token, tag) in enumerate(tokens):
                if token.isspace():
                    continue
                gap, after = "", tag
                if index + 1 < len(tokens) and tokens[index + 1][0].isspace():
                    gap, after = tokens[index + 1]
                is_last = index + 2 >= len(tokens)
                stream.write(f"{token}\t{_written(gap, is_last=is_last)}\t{tag}\n")
                if "\n" in gap and after == "O":
                    stream.write("\n")
            stream.write("\n")


def _beginning(line: str, fields: list[str], number: int) -> _Draft | None:
    """Return a new document where a line begins one."""
    if fields[0] == _START:
        said = "|".join(fields[1:-1])
        name = _ID.search(said)
        draft = _Draft(_plain(name[1]) if name else str(number))
        draft.gap = _gap(fields) or ""
        return draft
    if len(fields) == 1 or line.startswith("# newdoc"):
        found = _NEW_DOCUMENT.fullmatch(line)
        return _Draft((found[1] or str(number)).strip()) if found else None
    return None


def _is_comment(line: str, fields: list[str], width: int) -> bool:
    """Tell a comment from a token that is a number sign."""
    if not line.startswith("#") or len(fields) == width:
        return False
    return len(fields) == 1 or not _TAG.fullmatch(fields[-1])


def _check_width(fields: list[str], width: int, least: int, place: str) -> None:
    if len(fields) != width or width <= least or not all(fields):
        raise FormatError(
            f"{place}: found {len(fields)} columns where {max(width, least + 1)} were expected, "
            "none of them empty. Give every token as many, parted by tabs or by spaces alike."
        )


def _gap(fields: list[str]) -> str | None:
    """Return what follows a token, where a column between the first and the last says so."""
    for one in fields[1:-1]:
        if found := _SPACES.search(one):
            return "" if found["none"] else _plain(found["spaces"])
    return None


def _tightened(document: Document, losses: Losses) -> Document:
    """Part mentions from white space at their edges, which is not in any token."""
    kept: list[Mention] = []
    for one in document.mentions:
        covered = document.text[one.start : one.end]
        start = one.end - len(covered.lstrip())
        end = one.start + len(covered.rstrip())
        if (start, end) != one.fragments[0]:
            losses.add(
                "white space at the edges of annotations, left out",
                where=f"{document.id}: {one.where()}",
            )
        if start < end:
            kept.append(mention(start, end, one.label))
    return replace(document, mentions=tuple(kept))


def _tokens(document: Document) -> list[tuple[str, str]]:
    """Cut a text into tokens and white space, also at the edges of mentions, each with its tag."""
    edges = {edge for one in document.mentions for edge in one.fragments[0]}
    starts = {one.start: one for one in document.mentions}
    inside: Mention | None = None
    found: list[tuple[str, str]] = []
    for piece in _TOKEN.finditer(document.text):
        cuts = [piece.start(), *(e for e in range(piece.start() + 1, piece.end()) if e in edges)]
        for start, end in zip(cuts, [*cuts[1:], piece.end()], strict=True):
            if inside and inside.end <= start:
                inside = None
            tag = "O" if inside is None else f"I-{inside.label}"
            if start in starts:
                inside = starts[start]
                tag = f"B-{inside.label}"
            found.append((document.text[start:end], tag))
    return found


def _written(gap: str, *, is_last: bool) -> str:
    if not gap:
        return "SpaceAfter=No"
    if gap == " " and not is_last:
        return "_"
    return f"SpacesAfter={_escaped(gap)}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _plain(text: str) -> str:
    return re.sub(r"\\.", lambda found: _PLAIN.get(found[0], found[0]), text)
