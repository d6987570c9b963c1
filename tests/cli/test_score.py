from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import parse
from annoseq.data.pairs import read_pairs
from tests.cli.command import SECRET, refusal, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def found(table: Path, shelf: Path) -> Path:
    """Return predictions for the table: the gold spans, but for the first of every third row."""
    path = shelf / "found.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for pair in read_pairs(table):
            text, spans = parse(pair.target)
            kept = spans[1:] if pair.row % 3 == 0 else spans
            fields = [
                {"start": one.start, "end": one.end, "label": one.label, "score": 0.9}
                for one in kept
            ]
            stream.write(json.dumps({"id": pair.row, "text": text, "spans": fields}) + "\n")
    return path


def printed(out: str) -> dict[str, float]:
    """Return the scores that come before the table of labels."""
    lines = out.partition("\n\n")[0].splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines}


def test_anybodys_predictions_are_scored(table: Path, found: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    result = run("score", table, found, "--json", path)
    assert (result.code, result.err) == (0, "")
    written, scores = json.loads(path.read_text()), printed(result.out)
    assert scores["rows"] == written["rows"] == 40
    assert scores["span_precision"] == 1
    total = sum(len(parse(pair.target)[1]) for pair in read_pairs(table))
    lost = sum(bool(parse(pair.target)[1]) for pair in read_pairs(table) if pair.row % 3 == 0)
    assert lost > 0
    assert written["scores"]["span_recall"]["value"] == pytest.approx(1 - lost / total, abs=1e-6)
    assert {name for name in scores if name != "rows"} == set(written["scores"])
    assert written["gold"] == read_pairs(table).fingerprint()
    assert "unseen" not in written


def test_what_annotate_writes_can_be_scored(model: Path, table: Path, tmp_path: Path) -> None:
    found, path, other = (tmp_path / name for name in ("found.jsonl", "a.json", "b.json"))
    assert run("annotate", model, table, "--out", found).code == 0
    assert run("score", table, found, "--json", path).code == 0
    assert run("evaluate", model, table, "--part", "all", "--json", other).code == 0
    scored, evaluated = (json.loads(one.read_text()) for one in (path, other))
    for name in ("span_f1", "merged_f1", "token_recall", "leak", "calibration_error"):
        assert scored["scores"][name] == evaluated["scores"][name]
    assert scored["labels"] == evaluated["labels"]
    assert scored["scores"]["changed"]["value"] == 0


def test_ids_may_be_those_of_a_column(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    gold.write_text("case,orig_text,annotated_text\nx9,Ames,{{N}}Ames{{/N}}\nx3,Bond,Bond\n")
    found.write_text("id,annotated\nx9,{{N}}Ames{{/N}}\nx3,Bond\n")
    result = run("score", gold, found, "--id", "case")
    assert printed(result.out)["span_f1"] == 1
    message = refusal(run("score", gold, found))
    assert message.startswith(f"{gold}: row 1: there is no prediction with this row's id among 2.")


def test_delimiters_and_encodings_of_both_tables(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    rows = "case;orig_text;annotated_text\nx9;Núñez;{{N}}Núñez{{/N}}\nx3;Bond;Bond\n"
    gold.write_bytes(rows.replace(";", "¦").encode("cp1252"))
    found.write_bytes(
        "id;annotated\nx9;{{N}}Núñez{{/N}}\nx3;Bond\n".replace(";", "~").encode("mac-roman")
    )
    arguments = ["score", gold, found, "--id", "case"]
    arguments += ["--delimiter", "¦", "--encoding", "cp1252"]
    assert "is not UTF-8" in refusal(run(*arguments, "--predicted-delimiter", "~"))
    arguments += ["--predicted-delimiter", "~", "--predicted-encoding", "mac-roman"]
    result = run(*arguments)
    assert (result.code, result.err) == (0, "")
    assert printed(result.out)["span_f1"] == 1
    found.write_text("id~annotated\nx3~Bond\n")
    message = refusal(run(*arguments))
    assert message.endswith("unless --id names the column that holds them.")


def test_spans_that_are_there_twice_count_once(tmp_path: Path) -> None:
    gold, found, path = (tmp_path / name for name in ("gold.csv", "found.jsonl", "scores.json"))
    gold.write_text("orig_text,annotated_text\nDr. Ames,Dr. {{N}}{{N}}Ames{{/N}}{{/N}}\n")
    span = {"start": 4, "end": 8, "label": "N"}
    for spans, repeated in ([span], None), ([span, span, span], 2):
        found.write_text(json.dumps({"id": 1, "text": "Dr. Ames", "spans": spans}))
        result = run("score", gold, found, "--json", path, "--overwrite")
        scores = printed(result.out)
        assert scores["span_precision"] == scores["span_recall"] == scores["perfect_rows"] == 1
        notes = ["repeated gold spans, each counted once: 1"]
        if repeated:
            notes.append("repeated predicted spans, each counted once: 2")
        assert result.err.splitlines() == notes
        totals = json.loads(path.read_text())["counts"]["totals"]
        assert (totals["repeated.gold"], totals.get("repeated.predicted")) == (1, repeated)


def test_predictions_without_a_label_of_the_table_are_told(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    gold.write_text("orig_text,annotated_text\nAmes,{{NAME}}Ames{{/NAME}}\nBond,Bond\n")
    found.write_text("id,annotated\n1,{{PERSON}}Ames{{/PERSON}}\n2,Bond\n")
    result = run("score", gold, found)
    assert result.err == (
        "warning: the table and the predictions have no label in common, so that all scores of "
        "labels are 0: the table has NAME, and the predictions PERSON. Is it the right table? "
        "`annoseq import --map` renames labels.\n"
    )


def test_rows_not_trained_on_are_scored_apart(table: Path, found: Path, tmp_path: Path) -> None:
    seen, path = tmp_path / "seen.csv", tmp_path / "scores.json"
    with table.open(newline="") as stream:
        rows = list(csv.reader(stream))
    with seen.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows[:21])
    result = run("score", table, found, "--seen", seen, "--json", path)
    unseen = json.loads(path.read_text())["unseen"]
    texts = {row[rows[0].index("orig_text")] for row in rows[1:21]}
    expected = sum(pair.source not in texts for pair in read_pairs(table))
    assert unseen["rows"] == expected > 0
    assert f"the {expected} of 40 rows whose text was not trained on:" in result.out


def test_a_report_is_written(table: Path, found: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    path, plain = tmp_path / "report.html", tmp_path / "shapes.html"
    assert run("score", table, found, "--report", path).code == 0
    assert run("score", table, found, "--report", plain, "--redact").code == 0
    texts = [pair.source for pair in read_pairs(table) if pair.row % 3 == 0]
    word = next(word for text in texts for word in re.findall(r"[A-Za-z]{7,}", text))
    assert word in path.read_text(encoding="utf-8")
    assert word not in plain.read_text(encoding="utf-8")
    assert "exists already" in refusal(run("score", table, found, "--report", path))


def test_text_scores_on_request(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    gold.write_text("orig_text,annotated_text\nDr. Ames came,Dr. {{N}}Ames{{/N}} came\n")
    found.write_text("id,text,annotated\n1,Dr. Ames came,Dr. {{N}}Ames{{/N}} came\n")
    path = tmp_path / "scores.json"
    result = run("score", gold, found, "--text-scores", "--json", path)
    scores = printed(result.out)
    assert (scores["chrf"], scores["ter"], scores["exact_match"]) == (100, 0, 1)
    assert "bleu(nrefs:1|" in json.loads(path.read_text())["signature"]
    assert "bleu" not in printed(run("score", gold, found).out)


def test_wrong_pairing_is_never_scored(table: Path, found: Path, tmp_path: Path) -> None:
    lines = found.read_text(encoding="utf-8").splitlines(keepends=True)
    wrong, path = tmp_path / "wrong.jsonl", tmp_path / "scores.json"
    other = json.dumps({"id": 2, "text": SECRET, "spans": []}) + "\n"
    for changed, expected in (
        ([lines[1], lines[0], *lines[2:]], "Bring the predictions into the order of the table."),
        (lines[:-1], "there is no prediction with this row's id among 39"),
        ([lines[0], other, *lines[2:]], "its text differs from that of"),
        ([*lines, other], "has no more rows"),
    ):
        wrong.write_text("".join(changed), encoding="utf-8")
        assert expected in refusal(run("score", table, wrong, "--json", path))
        assert not path.exists()


def test_a_pipe_cannot_be_read_twice(table: Path) -> None:
    assert refusal(run("score", "-", table)) == "standard input cannot be read twice. Give a file."


def test_a_suffix_that_tells_nothing(table: Path, found: Path, tmp_path: Path) -> None:
    bare = tmp_path / "found"
    bare.write_bytes(found.read_bytes())
    assert "it has no suffix" in refusal(run("score", table, bare))
    assert run("score", table, bare, "--predicted-format", "jsonl").code == 0


def test_thresholds_for_a_wanted_recall(table: Path, found: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    result = run("score", table, found, "--target-recall", "0.5", "--json", path)
    written = json.loads(path.read_text())["target_recall"]
    assert (written["wanted"], written["out_of_reach"]) == (0.5, False)
    assert 0.89 < written["score"] <= 0.9
    assert written["expected"]["precision"] == 1
    lines = result.out.splitlines()[-2:]
    assert lines[0].startswith("for a recall of 0.5, keep spans with a score of at least 0.89")
    assert lines[1].startswith("  recall ")
    assert lines[1].endswith(", precision 1.0000 on these rows")
    assert "Give a share between 0 and 1" in refusal(
        run("score", table, found, "--target-recall", "1.5")
    )


def test_thresholds_need_scores(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    gold.write_text("orig_text,annotated_text\nAmes,{{N}}Ames{{/N}}\n")
    found.write_text("id,annotated\n1,{{N}}Ames{{/N}}\n")
    assert refusal(run("score", gold, found, "--target-recall", "0.9")) == (
        "--target-recall needs predicted spans with scores, and none has one. Leave it off."
    )


def test_a_document_that_returns_after_another_is_refused(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.csv", tmp_path / "found.csv"
    rows = [f"{document},{SECRET},{SECRET}\n" for document in ("x9", "x9", "", "x3", "", "x9")]
    gold.write_text("doc_id,orig_text,annotated_text\n" + "".join(rows))
    found.write_text("id,annotated\n" + "".join(f"{row},{SECRET}\n" for row in range(1, 7)))
    message = refusal(run("score", gold, found))
    assert message.startswith(f"{gold}: row 6: its document was there before, with others in betw")
