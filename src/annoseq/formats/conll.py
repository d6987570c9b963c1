r"""CoNLL: a token on each line with its tag in the last column, a blank line between sentences.

The tags may be IOB1, IOB2, BIOES or BILOU. A column in between may give the white space after a
token, in the notation of CoNLL-U and UDPipe (`SpaceAfter=No`, `SpacesAfter=\s\s\n`). Without such a
column, tokens are joined with spaces and sentences with line ends: the text is not the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.markup import trim_range
from annoseq.data.streams import read_lines
from annoseq.errors import FormatError
from annoseq.formats.capabilities import (
    FormatCapabilities,
    drop_unsupported,
    has_no_nul,
    is_single_word,
)
from annoseq.formats.documents import Document, Mention, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses

CAPABILITIES = FormatCapabilities(supports_label=is_single_word, supports_text=has_no_nul)

_DOCUMENT_START = "-DOCSTART-"
_TAG = re.compile(r"O|([BIESLUM])-(\S+)")
_SPACES = re.compile(r"(?:^|\|)(?:SpacesAfter=(?P<spaces>[^|]*)|(?P<none>SpaceAfter=No))(?=\||$)")
_ID = re.compile(r"(?:^|\|)id=([^|]*)")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc(?:\s+id\s*=\s*(.*))?")
_ESCAPES = {"\\": r"\\", " ": r"\s", "\t": r"\t", "\r": r"\r", "\n": r"\n", "|": r"\p"}
_UNESCAPES = {escaped: character for character, escaped in _ESCAPES.items()}


@dataclass
class _ConllDocument:
    """A document while its tokens are read."""

    id: str
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    mentions: list[Mention] = field(default_factory=list)
    opened: tuple[int, str] | None = None  # start and label of the mention that may continue
    last_end: int = 0  # end of the last token
    gap: str = ""  # white space after the last token
    is_gap_given: bool = True

    def add_token(self, token: str, gap: str | None, tag: re.Match[str]) -> None:
        self._append(self.gap)
        prefix, label = tag[1] or "O", tag[2] or ""
        if self.opened and (prefix in "OBSU" or label != self.opened[1]):
            self.close_mention()
        start = self.length
        self._append(token)
        self.last_end = self.length
        if prefix != "O":
            self.opened = self.opened or (start, label)
        if prefix in "ESLU":
            self.close_mention()
        self.gap, self.is_gap_given = (" ", False) if gap is None else (gap, True)

    def close_mention(self) -> None:
        if self.opened:
            start, label = self.opened
            self.mentions.append(Mention.contiguous(start, self.last_end, label))
            self.opened = None

    def end_sentence(self) -> None:
        if not self.is_gap_given:
            self.close_mention()
            self.gap = "\n"

    def build(self) -> Document:
        self.close_mention()
        if self.is_gap_given:
            self._append(self.gap)
        return Document(self.id, "".join(self.pieces), tuple(self.mentions))

    def _append(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)


def read(path: Path, *, token_column: int, tag_column: int) -> Iterator[Document]:
    """Read a file of columns separated by tabs, or else by white space.

    Columns are counted from 0; negative ones from the end. Documents begin with `-DOCSTART-` or
    `# newdoc id = NAME`; without any, the file is one document.

    Raises:
        FormatError: lines have different numbers of columns, or a tag is not valid.
    """
    lines = read_lines(path)
    delimiter = "\t" if any("\t" in line for line in lines) else None
    documents: list[_ConllDocument] = []
    width = 0
    for number, line in enumerate(lines, 1):
        place = f"{path}: line {number}"
        fields = line.split(delimiter)
        if not line.strip():
            if documents:
                documents[-1].end_sentence()
        elif started := _start_document(line, fields, len(documents) + 1):
            documents.append(started)
        elif not _is_comment(line, fields, width):
            width = width or len(fields)
            _check_width(fields, width, max(token_column, tag_column, 1), place)
            if not documents:
                documents.append(_ConllDocument(path.stem))
            tag = _parse_tag(fields[tag_column], tag_column, place)
            documents[-1].add_token(fields[token_column], _gap_after(fields), tag)
    if not documents:
        raise FormatError(f"{path}: there is no token in it. Name a file with a token on a line.")
    for document in documents:
        yield document.build()


def write(documents: Iterable[Document], path: Path, *, losses: ConversionLosses) -> None:
    """Write one file with three columns: the token, the white space after it, its tag in IOB2."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            tokens = _tag_tokens(_strip_mentions(document, losses))
            lead = tokens.pop(0)[0] if tokens and tokens[0][0].isspace() else ""
            spaces = f"|SpacesAfter={_escape(lead)}" if lead else ""
            stream.write(f"{_DOCUMENT_START}\tid={_escape(document.id)}{spaces}\tO\n\n")
            for index, (token, tag) in enumerate(tokens):
                if token.isspace():
                    continue
                gap, gap_tag = "", tag
                if index + 1 < len(tokens) and tokens[index + 1][0].isspace():
                    gap, gap_tag = tokens[index + 1]
                is_last = index + 2 >= len(tokens)
                stream.write(f"{token}\t{_gap_column(gap, is_last=is_last)}\t{tag}\n")
                if "\n" in gap and gap_tag == "O":
                    stream.write("\n")
            stream.write("\n")


def _start_document(line: str, fields: list[str], number: int) -> _ConllDocument | None:
    """Return a new document if a line starts one."""
    if fields[0] == _DOCUMENT_START:
        attributes = "|".join(fields[1:-1])
        match = _ID.search(attributes)
        document = _ConllDocument(_unescape(match[1]) if match else str(number))
        document.gap = _gap_after(fields) or ""
        return document
    if len(fields) == 1 or line.startswith("# newdoc"):
        match = _NEW_DOCUMENT.fullmatch(line)
        return _ConllDocument((match[1] or str(number)).strip()) if match else None
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
            "none of them empty. Give every token as many, separated by tabs or by spaces alike."
        )


def _parse_tag(text: str, column: int, place: str) -> re.Match[str]:
    tag = _TAG.fullmatch(text)
    if tag is None:
        raise FormatError(
            f"{place}: the tag column {column} holds neither O nor a prefix such as "
            "B- or I- with a label. Name the right one with --tag-column."
        )
    return tag


def _gap_after(fields: list[str]) -> str | None:
    """Return the white space after a token, None if no middle column gives it."""
    for attributes in fields[1:-1]:
        if match := _SPACES.search(attributes):
            return "" if match["none"] else _unescape(match["spaces"])
    return None


def _strip_mentions(document: Document, losses: ConversionLosses) -> Document:
    """Strip white space at the edges of mentions, which is not in any token."""
    kept: list[Mention] = []
    for mention in document.mentions:
        start, end = trim_range(document.text, mention.start, mention.end)
        is_blank = document.text[start:end].isspace()
        if is_blank or (start, end) != mention.fragments[0]:
            losses.add(
                "white space at the edges of annotations, left out",
                where=f"{document.id}: {mention.location()}",
            )
        if not is_blank:
            kept.append(Mention.contiguous(start, end, mention.label))
    return replace(document, mentions=tuple(kept))


def _tag_tokens(document: Document) -> list[tuple[str, str]]:
    """Return tokens and white space, each with its tag."""
    starts = {mention.start: mention for mention in document.mentions}
    inside: Mention | None = None
    tagged: list[tuple[str, str]] = []
    for start, end in tokenize(document):
        if inside and inside.end <= start:
            inside = None
        tag = "O" if inside is None else f"I-{inside.label}"
        if start in starts:
            inside = starts[start]
            tag = f"B-{inside.label}"
        tagged.append((document.text[start:end], tag))
    return tagged


def _gap_column(gap: str, *, is_last: bool) -> str:
    if not gap:
        return "SpaceAfter=No"
    if gap == " " and not is_last:
        return "_"
    return f"SpacesAfter={_escape(gap)}"


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _unescape(text: str) -> str:
    return re.sub(r"\\.", lambda match: _UNESCAPES.get(match[0], match[0]), text)
