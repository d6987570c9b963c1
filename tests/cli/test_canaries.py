"""No command quotes the text of a table, wherever in the table it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command import TINY, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

CANARY = "Ms Zaphodina Quux came in drunk"
WORDS = ("Zaphodina", "Quux", "drunk")
MARKED = CANARY.replace("Zaphodina", "{{NAME}}Zaphodina{{/NAME}}")
FITTING = f"orig_text,annotated_text\n{CANARY},{MARKED}\n"


def jsonl(*records: object) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


TABLES: dict[str, tuple[str, bytes]] = {
    "no header": ("t.csv", f"{CANARY},{MARKED}\n{CANARY},{MARKED}\n".encode()),
    "no header, semicolons": ("t.csv", f"{CANARY};{MARKED}\n{CANARY};{MARKED}\n".encode()),
    "no header, tabs": ("t.tsv", f"{CANARY}\t{MARKED}\n{CANARY}\t{MARKED}\n".encode()),
    "no header, quoted": ("t.csv", f'"{CANARY}, yes","{MARKED}"\n"{CANARY}","x"\n'.encode()),
    "doubled header": ("t.csv", f"orig_text,annotated_text,{CANARY},{CANARY}\n".encode()),
    "UTF-16": ("t.csv", f"{CANARY},{MARKED}\n{CANARY},x\n".encode("utf-16")),
    "separator line": ("t.csv", f"sep={CANARY}\n{CANARY},{MARKED}\n".encode()),
    "too many fields": ("t.csv", f"{FITTING}{CANARY},{MARKED},{CANARY}\n".encode()),
    "too few fields": ("t.csv", f"{FITTING}{CANARY}\n".encode()),
    "open quote": ("t.csv", f'{FITTING}"{CANARY},{MARKED}\n'.encode()),
    "text after a quote": ("t.csv", f'{FITTING}"{CANARY}"{CANARY},{MARKED}\n'.encode()),
    "not UTF-8": ("t.csv", f"{FITTING}{CANARY},".encode() + b"\xe9\n"),
    "a start that is none": (
        "t.csv",
        f"orig_text,annotated_text,start\n{CANARY},{MARKED},{CANARY}\n".encode(),
    ),
    "a long id": (
        "t.csv",
        f"orig_text,annotated_text,doc_id,start\n{CANARY},{MARKED},{CANARY},7\n"
        f"{CANARY},{MARKED},{CANARY},7\n".encode(),
    ),
    "JSON key": ("t.jsonl", jsonl({CANARY: MARKED}, {CANARY: MARKED})),
    "JSON key beside": (
        "t.jsonl",
        jsonl({"orig_text": CANARY, CANARY: 1}, {"annotated_text": MARKED, CANARY: 2}),
    ),
    "JSON list": ("t.jsonl", jsonl({"orig_text": [CANARY], "annotated_text": MARKED})),
    "JSON text": ("t.jsonl", jsonl(CANARY)),
    "broken JSON": ("t.jsonl", f'{{"orig_text": "{CANARY}", {CANARY}\n'.encode()),
    "doubled JSON key": (
        "t.jsonl",
        f'{{"orig_text": "{CANARY}", "orig_text": "{CANARY}", "annotated_text": ""}}\n'.encode(),
    ),
    "lone surrogate": (
        "t.jsonl",
        f'{{"orig_text": "{CANARY} \\ud800", "annotated_text": "{MARKED}"}}\n'.encode(),
    ),
}
MISFITS = {
    "other text": f"orig_text,annotated_text\n{CANARY},{MARKED} soberly\n".encode(),
    "crossing tags": f"orig_text,annotated_text\n{CANARY},{MARKED}{{{{/NAME}}}}\n".encode(),
    "one side": f"orig_text,annotated_text\n{CANARY},\n".encode(),
    "swapped": f"orig_text,annotated_text\n{MARKED},{CANARY}\n".encode(),
    "white space": f"orig_text,annotated_text\n{CANARY} ,{MARKED}\n".encode(),
}


def commands(table: Path, model: Path, out: Path) -> dict[str, tuple[object, ...]]:
    return {
        "check": ("check", table, "--rows", 0),
        "train": ("train", table, "--out", out / "m", *TINY),
        "prepare": ("prepare", table, "--out", out / "p"),
        "find-lr": ("find-lr", table),
        "sweep": ("sweep", table, "--out", out / "s", "--epochs", 1, "--device", "cpu"),
        "curve": ("curve", table, "--out", out / "c", "--points", 4, "--repeats", 1, *TINY),
        "audit": ("audit", table, "--out", out / "a.csv", "--folds", 2, "--device", "cpu"),
        "evaluate": ("evaluate", model, table),
        "annotate": ("annotate", model, table, "--out", out / "o.jsonl"),
        "annotate brat": ("annotate", model, table, "--format", "brat", "--out", out / "b"),
        "redact": ("redact", model, table, "--out", out / "r"),
        "review": ("review", table, "--model", model, "--project", out / "r.db", "--only-make"),
        "score": ("score", table, table),
        "import table": ("import", "table", table, out / "i.csv"),
        "import spans": ("import", "spans", table, out / "j.csv"),
        "import doccano": ("import", "doccano", table, out / "k.csv"),
        "export": ("export", "doccano", table, out / "e.jsonl"),
        "export brat": ("export", "brat", table, out / "f"),
        "vectors": ("vectors", "train", table, "--out", out / "v.bin"),
    }


def check_output(table: Path, name: str, model: Path, out: Path) -> None:
    out.mkdir()
    result = run(*commands(table, model, out)[name])
    printed = result.out + result.err
    assert "Traceback" not in printed
    assert result.code in {0, 2}
    if name == "evaluate":  # scores by label
        printed = result.err
    assert not any(word in printed for word in WORDS), printed


NAMES = (
    "check",
    "train",
    "prepare",
    "find-lr",
    "sweep",
    "audit",
    "curve",
    "evaluate",
    "annotate",
    "review",
    "annotate brat",
    "redact",
    "score",
    "import table",
    "import spans",
    "import doccano",
    "export",
    "export brat",
    "vectors",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", TABLES)
def test_no_command_quotes_a_table(kind: str, name: str, model: Path, tmp_path: Path) -> None:
    file_name, content = TABLES[kind]
    table = tmp_path / file_name
    table.write_bytes(content)
    check_output(table, name, model, tmp_path / "out")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", MISFITS)
def test_no_command_quotes_a_row_that_does_not_fit(
    kind: str, name: str, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(MISFITS[kind])
    check_output(table, name, model, tmp_path / "out")


@pytest.mark.parametrize("name", NAMES)
def test_no_command_quotes_a_column_of_parquet(name: str, model: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({CANARY: [CANARY], "other": [MARKED]}), table)
    check_output(table, name, model, tmp_path / "out")
