"""Mutated files of every format: whatever is read, only errors of annoseq come out, and soon."""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import AnnoseqError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import export_corpus, import_corpus
from annoseq.formats.conversion_options import ExportOptions
from annoseq.formats.rows import read_documents
from tests.formats.documents import FILES, OPTIONS, PLAIN, mention

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.formats.registry import CorpusFormat, FormatName

pytestmark = pytest.mark.e2e

MUTANTS = 60
SECONDS = 5.0
SCORED = [PLAIN[0].__class__("s", "Ames", (mention(0, 4, "NAME", 0.5),)), PLAIN[2]]
RECORD = (
    '{"id": 7, "text": "Ames came", "answer": "accept", "_input_hash": 3, "meta": {"id": 1}, '
    '"spans": [{"start": 0, "end": 4, "label": "NAME", "text": "Ames", "score": 0.5}]}\n'
)
TASKS = """[{"id": 7, "data": {"note": "😀 Ames", "n": 1, "title": "Bo"}, "annotations": [
  {"was_cancelled": true, "result": []},
  {"completed_by": {"id": 3, "email": "a@b.c"}, "ground_truth": true, "result": [
    {"type": "labels", "score": 0.5, "to_name": "text",
     "value": {"start": 2, "end": 6, "text": "Ames", "labels": ["NAME", "PERSON"]}}
  ]}], "predictions": [{"score": 0.1, "result": []}]}]"""
V2 = (
    '[{"id": 0, "paragraphs": [{"raw": "Ames came", "sentences": [{"tokens": ['
    '{"orth": "Ames", "ner": "U-NAME"}, {"orth": "came", "ner": "-"}]}]}]}]'
)
OLD_I2B2 = (
    '<ROOT><RECORD ID="1"><TEXT>Dr. <PHI TYPE="DOCTOR">Ames</PHI> &amp; Bo</TEXT></RECORD></ROOT>'
)
OUTPUT = (
    '{"id": "a", "text": "Ames", "annotated": "{{A}}Ames{{/A}}", "doc_id": "d", "start": 2, '
    '"spans": [{"start": 0, "end": 4, "label": "A", "text": "Ames", "score": 0.5}]}\n'
)
CONLLU = "# newdoc id = n1\n1\tVio\t_\tO\n2-3\tal\t_\tO\n2\ta\tSpaceAfter=No\tB-X\n5.1\tx\t_\tO\n"
RAW: list[tuple[FormatName, str, str]] = [
    ("spacy-jsonl", "a.jsonl", RECORD),
    ("spacy-jsonl", "a.jsonl", '["Ames came", {"entities": [[0, 4, "NAME"]]}]\n'),
    ("spacy-jsonl", "a.jsonl", '{"tokens": ["Ames", "came"], "ner_tags": ["B-PER", "O"]}\n'),
    ("spacy-jsonl", "a.json", V2),
    ("doccano", "a.json", '[\n{"data": "Ames", "label": [[0, 4, "NAME"]]}\n]\n'),
    (
        "doccano",
        "a.jsonl",
        '{"text": "😀é Ames", "entities": [{"start_offset": 4, "end_offset": 8, "label": "A"}]}\n',
    ),
    ("label-studio", "a.json", TASKS),
    ("i2b2", "a.xml", OLD_I2B2),
    ("inline-xml", "a.xml", '<a>Dr. <NAME TYPE="X" id="1">Ames</NAME><b/></a>'),
    ("conll", "a.conll", CONLLU),
    ("conll", "a.conll", "# doc_id = 1\nAmes B-NAME\nBo I-NAME\n\n# O\n"),
    ("pubtator", "a.txt", "1|t|Ames\n1|a|Bo\n1\t0\t4\tAmes\tNAME\tD1\n1\tR\tD1\tD2\tNovel\n"),
    ("spans", "a.csv", "doc_id,text,start,end,label,score\na,Ames,0.0,4.0,NAME,0.5\nb,x,,,,\n"),
    ("spans", "a.jsonl", '{"doc_id": 1, "text": "Ames", "start": 0, "end": 4, "label": "A"}\n'),
    ("table", "a.csv", "orig_text,annotated_text\nAmes,<NAME>Ames</NAME>\n"),
]


def write_corpus(name: CorpusFormat, folder: Path) -> list[Path]:
    losses = ConversionLosses()
    target = folder / FILES[name]
    export_corpus(name, PLAIN, target, options=ExportOptions(), losses=losses, overwrite=True)
    return [path for path in sorted(target.rglob("*")) if path.is_file()] or [target]


NUMBERS = [b"1" + b"0" * 400, b"9" * 5_000, b"-1", b"1e400", b"0.5", b"true"]
VALUES = [b"null", b"[]", b"{}", b"3", b'""', b"NaN", b"1e999"]
JUNK = [b"\0", rb"\ud800", b"\xed\xa0\x80", b"\xff", b"\x1b[31m", "\u2028".encode()]
JUNK += [b"[" * 60_000, b'{"a":' * 60_000, b"<A>" * 60_000, b"{{A}}" * 5_000]


def flip_bits(content: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def replace_match(
    pattern: bytes, values: list[bytes], content: bytes, chance: random.Random
) -> bytes:
    matches = list(re.finditer(pattern, content))
    if not matches:
        return b""
    match = chance.choice(matches)
    return content[: match.start()] + chance.choice(values) + content[match.end() :]


def shuffle_lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def mutate(content: bytes, chance: random.Random) -> bytes:
    at, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    mutants = [
        lambda: content[:at],
        lambda: flip_bits(content, chance),
        lambda: replace_match(rb"\d+", NUMBERS, content, chance),
        lambda: replace_match(rb'"[^"]*"', VALUES, content, chance),
        lambda: content[:at] + chance.choice(JUNK) + content[at:],
        lambda: content[:at] + content[end:],
        lambda: content[:end] + content[at:],
        lambda: shuffle_lines(content, chance),
    ]
    return chance.choice(mutants)()


def check(read: Callable[[], object], path: Path, seed: int) -> None:
    """Try mutants of a file; the seed of a failure is in its traceback."""
    content = path.read_bytes()
    for number in range(MUTANTS if content else 0):
        path.write_bytes(mutate(content, random.Random(seed * 1_000 + number)))
        begin = time.process_time()
        with suppress(AnnoseqError):
            read()
        assert time.process_time() - begin < SECONDS, (path, number)
    path.write_bytes(content)


def import_into(name: FormatName, source: Path, folder: Path) -> None:
    losses = ConversionLosses()
    import_corpus(
        name,
        source,
        folder / "pairs.jsonl",
        unit="line",
        options=OPTIONS,
        losses=losses,
        overwrite=True,
    )


@pytest.mark.parametrize("name", FILES)
def test_mutants_of_exported_corpora(name: CorpusFormat) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, path in enumerate(write_corpus(name, folder)):
            check(lambda: import_into(name, folder / FILES[name], folder), path, number)


@pytest.mark.parametrize("number", range(len(RAW)))
def test_mutants_of_files_of_other_programs(number: int, tmp_path: Path) -> None:
    name, file, content = RAW[number]
    (tmp_path / file).write_text(content)
    check(lambda: import_into(name, tmp_path / file, tmp_path), tmp_path / file, number)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_mutants_of_annoseqs_output(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".jsonl":
        path.write_text(OUTPUT)
    else:
        path.write_text('id,text,spans,start,doc_id\n1,Ames,"[{""start"": 0, ""end"": 1}]",0,d\n')

    def read() -> object:
        losses = ConversionLosses()
        return list(read_documents(path, losses=losses, notes=losses))

    check(read, path, 7)
