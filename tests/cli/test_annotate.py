from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq.pairs.pairs import read_pairs
from tests.cli.command import run

if TYPE_CHECKING:
    from pathlib import Path


def test_every_row_becomes_a_line_of_json_in_order(model: Path, table: Path) -> None:
    result = run("annotate", model, table)
    assert result.code == 0
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [(int(line["id"]), line["text"]) for line in lines] == [
        (pair.row, pair.source) for pair in read_pairs(table)
    ]
    assert all(isinstance(line["annotated"], str) and "spans" in line for line in lines)


def test_a_file_holds_what_the_output_would(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = run("annotate", model, table, "--out", out)
    assert (result.code, result.out) == (0, "")
    assert out.read_text(encoding="utf-8") == run("annotate", model, table).out
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_texts_survive(model: Path, tmp_path: Path) -> None:
    texts = ["", " two  spaces ", "0012", "naïve 👩‍⚕️ NA", "a\r\nb\rc", 'say "{{NAME}}", {{\\X}}']
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"note": text}) + "\n" for text in texts))
    result = run("annotate", model, path, "--column", "note")
    assert result.code == 0
    assert [json.loads(line)["text"] for line in result.out.split("\n")[:-1]] == texts
