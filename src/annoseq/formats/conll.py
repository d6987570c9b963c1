r"""CoNLL: a token on each line with its tag in the last column, a blank line between sentences.

The tags may be IOB1, IOB2, BIOES or BILOU. Another column may give the white space after a token,
in the notation of CoNLL-U and UDPipe (`SpaceAfter=No`, `SpacesAfter=\s\s\n`). Without such a
column, tokens are joined with spaces and sentences with line ends: the text is not the original.
Columns end at tabs or ASCII spaces alone: other white space belongs to tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.data.markup import trim_range
from annoseq.data.streams import read_lines
from annoseq.errors import FormatError, count_noun
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
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions

CAPABILITIES = FormatCapabilities(supports_label=is_single_word, supports_text=has_no_nul)

_DOCUMENT_START = "-DOCSTART-"
_TAG = re.compile(r"O|([BIESLUM])-(\S+)")
_SPACES = re.compile(r"(?:^|\|)(?:SpacesAfter=(?P<spaces>[^|]*)|(?P<none>SpaceAfter=No))(?=\||$)")
_ID = re.compile(r"(?:^|\|)id=([^|]*)")
_NEW_DOCUMENT = re.compile(
    r"#\s*(?:newdoc(?:\s+id\s*=\s*(?P<id>.*))?|(?:new)?doc_?id\s*[=:]\s*(?P<doc_id>.*)"
    r"|begin document \((?P<begin>.*?)\)(?:; part (?P<part>\d+))?;?)"
)
_CONLL_COLUMNS = 2  # the fewest: a token and its tag
_WORDLESS_ID = re.compile(r"\d+-\d+|\d+\.\d+")  # CoNLL-U: ranges of words, and empty nodes
_TAB, _ONLY_SPACES, _SPACES_OR_TABS = map(re.compile, (r"\t", r" +", r"[ \t]+"))
_ESCAPES = {"\\": r"\\", " ": r"\s", "\t": r"\t", "\r": r"\r", "\n": r"\n", "|": r"\p"}
_UNESCAPES = {escaped: character for character, escaped in _ESCAPES.items()}


@dataclass
class TaggedDocument:
    """A document while its tokens are read, with their tags and the white space between them."""

    id: str
    place: str
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    mentions: list[Mention] = field(default_factory=list)
    opened: tuple[int, str] | None = None  # start and label of the mention that may continue
    last_end: int = 0  # end of the last token
    gap: str = ""  # white space after the last token
    is_gap_given: bool = True
    is_commented: bool = False  # a comment with its id may stand before each of its sentences

    def add_token(self, token: str, gap: str | None, tag: re.Match[str]) -> None:
        """Add a token, the white space after it (None: unknown), and its tag."""
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
        """End the mention that may continue."""
        if self.opened:
            start, label = self.opened
            self.mentions.append(Mention.contiguous(start, self.last_end, label))
            self.opened = None

    def end_sentence(self) -> None:
        """End a sentence: unknown white space becomes a line end."""
        if not self.is_gap_given:
            self.close_mention()
            self.gap = "\n"

    def build(self) -> Document:
        """Return the document."""
        self.close_mention()
        if self.is_gap_given:
            self._append(self.gap)
        return Document(self.id, "".join(self.pieces), tuple(self.mentions), self.place)

    def _append(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)


def read(path: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a file of columns separated by tabs, or else by spaces.

    Columns are counted from 0; negative ones from the end. Documents begin with `-DOCSTART-`,
    `# newdoc id = NAME` or `# doc_id = NAME`; without any, the file is one document. Ranges of
    words and empty nodes of CoNLL-U are no words.

    Raises:
        FormatError: lines have different numbers of columns, or a tag is not valid.
    """
    lines = read_lines(path)
    reader = _ConllReader(path, _delimiter(lines), options.token_column, options.tag_column, losses)
    for number, line in enumerate(lines, 1):
        reader.read_line(line, f"{path}: line {number}")
    reader.check()
    for document in reader.documents:
        yield document.build()


@dataclass
class _ConllReader:
    """Documents of the lines that were read so far."""

    path: Path
    delimiter: re.Pattern[str]
    token_column: int
    tag_column: int
    losses: ConversionLosses
    documents: list[TaggedDocument] = field(default_factory=list)
    width: int = 0  # number of columns
    position: int = 0  # of the last token in its sentence, from 1
    is_numbered: bool = True  # the first column counts the tokens

    def read_line(self, line: str, place: str) -> None:
        """Read a token, a comment, or the end of a sentence."""
        fields = _split(line, self.delimiter)
        if not line.strip(" \t\r"):
            self.position = 0
            if self.documents:
                self.documents[-1].end_sentence()
        elif started := _start_document(line, fields, len(self.documents) + 1, place):
            self.is_numbered &= fields[0] != _DOCUMENT_START  # CoNLL-2003 begins with the token
            last = self.documents[-1] if self.documents else None
            if not (last and last.is_commented and last.id == started.id):
                self.documents.append(started)
        elif not self._is_comment(line, fields):
            self._read_token(fields, place)

    def _read_token(self, fields: list[str], place: str) -> None:
        self.width = self.width or len(fields)
        _check_width(fields, self.width, max(self.token_column, self.tag_column, 1), place)
        is_wordless = _WORDLESS_ID.fullmatch(fields[0]) is not None
        if self.token_column and is_wordless:
            reason = "of CoNLL-U without a word (a range or an empty node), left out"
            self.losses.note("line", reason, where=place)
            return
        self.position += not is_wordless
        self.is_numbered &= is_wordless or fields[0] == str(self.position)
        tag = parse_tag(fields[self.tag_column], place, column=self.tag_column)
        if not self.documents:
            self.documents.append(TaggedDocument(self.path.stem, str(self.path)))
        used = {self.token_column, self.tag_column % self.width}
        others = [value for index, value in enumerate(fields) if index not in used]
        self.documents[-1].add_token(fields[self.token_column], _gap_after(others), tag)

    def _is_comment(self, line: str, fields: list[str]) -> bool:
        """Tell a comment from a token that is a number sign."""
        if not line.startswith("#"):
            return False
        if self.delimiter is _TAB and len(fields) == self.width:
            return False
        is_in_range = -len(fields) <= self.tag_column < len(fields)
        return len(fields) == 1 or not (is_in_range and _TAG.fullmatch(fields[self.tag_column]))

    def check(self) -> None:
        """Raise if there is no token, or if the token column holds numbers."""
        if not self.documents:
            raise FormatError(
                f"{self.path}: there is no token in it. Name a file with a token on a line."
            )
        if self.is_numbered and self.token_column == 0 and self.width > _CONLL_COLUMNS:
            raise FormatError(
                f"{self.path}: the token column 0 holds the numbers of tokens. "
                "Name the column of the tokens, such as --token-column 1."
            )


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
    """Write one file with three columns: the token, the white space after it, its tag in IOB2."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            tokens = tag_tokens(_strip_mentions(document, losses))
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


def _delimiter(lines: list[str]) -> re.Pattern[str]:
    """Return what ends a column: a tab if all lines of tokens have one, else spaces or tabs."""
    lines = [line for line in lines if line.strip(" \t\r")]
    tokens = [line for line in lines if not line.startswith("#")] or lines
    with_tab = sum("\t" in line for line in tokens)
    if with_tab == len(tokens):
        return _TAB
    return _SPACES_OR_TABS if with_tab else _ONLY_SPACES


def _split(line: str, delimiter: re.Pattern[str]) -> list[str]:
    return delimiter.split(line if delimiter is _TAB else line.strip(" \t"))


def _start_document(line: str, fields: list[str], number: int, place: str) -> TaggedDocument | None:
    """Return a new document if a line starts one."""
    if fields[0] == _DOCUMENT_START:
        attributes = "|".join(fields[1:-1])
        match = _ID.search(attributes)
        document = TaggedDocument(_unescape(match[1]) if match else str(number), place)
        document.gap = _gap_after(fields[1:-1]) or ""
        return document
    match = _NEW_DOCUMENT.fullmatch(line.rstrip())
    if match is None or (fields[0] == "#" and _TAG.fullmatch(fields[-1])):
        return None
    name = match["id"] or match["doc_id"] or match["begin"]
    if int(match["part"] or 0):
        name = f"{name}.{int(match['part'])}"
    return TaggedDocument((name or str(number)).strip(), place, is_commented=bool(match["doc_id"]))


def _check_width(fields: list[str], width: int, least: int, place: str) -> None:
    if len(fields) != width or width <= least or not all(fields):
        raise FormatError(
            f"{place}: found {count_noun(len(fields), 'column')} where {max(width, least + 1)} "
            "were expected, none of them empty. Give every token as many, separated by tabs or by "
            "spaces alike."
        )


def parse_tag(tag: object, place: str, *, column: int | None = None) -> re.Match[str]:
    """Parse the tag of a token.

    Raises:
        FormatError: it is no tag; `column` of a file is named.
    """
    match = _TAG.fullmatch(tag) if isinstance(tag, str) else None
    if match is None:
        where = "the tag" if column is None else f"the tag column {column}"
        advice = "Correct it." if column is None else "Name the right one with --tag-column."
        raise FormatError(
            f"{place}: {where} holds neither O nor a prefix such as B- or I- with a label. {advice}"
        )
    return match


def _gap_after(fields: list[str]) -> str | None:
    """Return the white space after a token, None if none of the other columns gives it."""
    for attributes in fields:
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
                "annotation",
                "with white space at the edges, made tight",
                where=f"{document.name}: {mention.location()}",
            )
        if not is_blank:
            kept.append(Mention.contiguous(start, end, mention.label))
    return replace(document, mentions=tuple(kept))


def tag_tokens(document: Document) -> list[tuple[str, str]]:
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
