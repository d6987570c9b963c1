from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import read_pairs
from tests.cli.command import refusal, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def scores(table: Path, shelf: Path) -> dict[str, Path]:
    """Return the scores of one who finds nothing, and of one who finds all."""
    paths = {}
    for name in ("nothing", "everything"):
        found, paths[name] = shelf / f"{name}.jsonl", shelf / f"{name}.json"
        lines = [
            {"id": one.row, "text": one.source, "annotated": one.target}
            if name == "everything"
            else {"id": one.row, "text": one.source, "spans": []}
            for one in read_pairs(table)
        ]
        found.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        assert run("score", table, found, "--json", paths[name]).code == 0
    return paths


def test_two_files_of_scores_are_compared(scores: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "differences.json"
    result = run("compare", scores["nothing"], scores["everything"], "--json", path)
    assert (result.code, result.err) == (0, "")
    [line] = [one.split() for one in result.out.splitlines() if one.startswith("span_f1")]
    assert line[:4] == ["span_f1", "0.0000", "1.0000", "+1.0000"]
    written = json.loads(path.read_text())["scores"]["span_f1"]
    assert (written["a"], written["b"], written["difference"]) == (0, 1, 1)
    assert "exists already" in refusal(
        run("compare", scores["nothing"], scores["everything"], "--json", path)
    )


def test_a_score_that_one_lacks_is_left_out(scores: dict[str, Path]) -> None:
    out = run("compare", scores["everything"], scores["nothing"]).out
    assert "exact_match" not in out  # only one of them wrote annotated texts


def test_scores_of_other_rows_are_refused(
    scores: dict[str, Path], shelf: Path, tmp_path: Path
) -> None:
    table, found, path = (tmp_path / name for name in ("t.csv", "f.csv", "s.json"))
    table.write_text("orig_text,annotated_text\nAmes,{{N}}Ames{{/N}}\n")
    found.write_text("id,annotated\n1,{{N}}Ames{{/N}}\n")
    assert run("score", table, found, "--json", path).code == 0
    message = refusal(run("compare", scores["nothing"], path))
    assert "are scores of different rows (40 and 1; other fingerprints)" in message
    assert "these are not scores that can be compared" in refusal(run("compare", path, table))
