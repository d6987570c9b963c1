"""`--target-recall` and `--target-coverage` of the commands that find spans."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pairs, write_pairs
from annoseq.evaluation.coverage import CoveragePoint, CoverageTarget
from annoseq.evaluation.target_messages import coverage_warnings
from tests.calibrated import calibrated_model, pairs
from tests.cli.command import refusal, run
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    from pathlib import Path

WRITES = (
    "--target-recall is for taggers, which know the chance of every span, and this model writes "
    "its output. Leave it off, or train a model with --model tagger."
)
UNKNOWN = (
    "--target-recall needs calibration.json in the model folder, and this model has none: it was "
    "validated on fewer than 100 spans, or trained by an older version. Leave it off, or train "
    "again with more rows."
)
DOUBTFUL = (
    "a recall of 0.99 is expected and not promised: of 120 spans that the model was validated "
    "on, too few can be found to leave room for chance."
)
OUT_OF_REACH = (
    "a recall of 0.95 is out of reach: of 240 spans that the model was validated on, 0.5000 "
    "can be found at all. It marks whatever may be such a span."
)


@pytest.fixture(scope="module")
def tagger(shelf: Path) -> Path:
    calibrated_model().save(shelf / "trusted", card="card")
    return shelf / "trusted"


@pytest.fixture(scope="module")
def rows(shelf: Path) -> Path:
    write_pairs(Pairs(pairs(), name="rows"), shelf / "rows.csv", overwrite=False)
    return shelf / "rows.csv"


def spans(out: str) -> int:
    return sum(len(json.loads(line)["spans"]) for line in out.splitlines())


def test_annotate_marks_more(tagger: Path, rows: Path) -> None:
    few = run("annotate", tagger, rows, "--target-recall", 0.3)
    assert few.code == 0
    assert re.fullmatch(
        r"target recall 0\.3: marks spans of a probability of at least 0\.\d{4}; expected recall "
        r"0\.\d{4}, expected precision 0\.\d{4}; confidence that the target is reached: 99 %\n",
        few.err,
    )
    many = run("annotate", tagger, rows, "--target-recall", 0.99)
    expectation, doubt = many.err.splitlines()
    assert expectation.endswith("; confidence that the target is reached: none")
    assert doubt == DOUBTFUL
    assert 0 < spans(few.out) < spans(many.out)


def test_an_interrupted_run_has_its_share(tagger: Path, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run("annotate", tagger, rows, "--target-recall", 0.3, "--out", out)
    assert spans(out.read_text()) == spans(
        run("annotate", tagger, rows, "--target-recall", 0.3).out
    )


def test_evaluate_tells_what_was_wanted_expected_and_measured(
    tagger: Path, rows: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.json"
    result = run("evaluate", tagger, rows, "--target-recall", 0.5, "--json", path)
    assert (result.code, result.err) == (0, "")
    record = json.loads(path.read_text())
    found = record["target_recall"]
    assert found["wanted"] == 0.5
    assert (found["confidence"], found["out_of_reach"]) == (0.99, False)
    assert found["measured"] == {
        "recall": record["span_recall"],
        "precision": record["span_precision"],
    }
    assert found["measured"] == pytest.approx(found["expected"])  # the rows are the same
    lines = result.out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("marked are spans of a "))
    assert lines[first + 1 : first + 4] == [
        f"  recall     wanted 0.5000, expected {found['expected']['recall']:.4f}, measured "
        f"{found['measured']['recall']:.4f}",
        f"  precision  expected {found['expected']['precision']:.4f}, measured "
        f"{found['measured']['precision']:.4f}",
        "  confidence that the wanted recall is reached: 99%",
    ]


def test_what_is_out_of_reach_is_said(shelf: Path, rows: Path) -> None:
    model = shelf / "nested"
    calibrated_model("nested tagger").save(model, card="card")
    result = run("annotate", model, rows, "--target-recall", 0.95)
    assert result.err.splitlines()[1:] == [OUT_OF_REACH]


def test_redact_finds_more(tagger: Path, rows: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text('[labels]\nNAME = "name"\nAGE = "age"\n')
    counts = []
    for share in (0.3, 0.99):
        out = tmp_path / str(share)
        result = run("redact", tagger, rows, "--out", out, "--target-recall", share)
        assert result.code == 0, result
        expectation, *doubts = result.err.splitlines()
        assert expectation.startswith(f"target recall {share}: marks spans of a probability of ")
        assert doubts == ([DOUBTFUL] if share == 0.99 else [])
        config = json.loads((out / "config.json").read_text())
        assert config["target_recall"] == share
        counts.append(len((out / "annotations.jsonl").read_text()))
    assert counts[0] != counts[1]


def test_redact_cannot_find_more_and_leave_alone(tagger: Path, rows: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path / "out", "--target-recall", 0.9, "--min-score", 0.5)
    assert refusal(run("redact", tagger, rows, *options)) == (
        "--min-score leaves alone what --target-recall asks to find. Leave one of them off."
    )


@pytest.mark.parametrize("command", ["annotate", "evaluate", "redact"])
def test_models_that_cannot_say_refuse(
    command: str, model: Path, shelf: Path, rows: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out") if command != "evaluate" else ()
    assert refusal(run(command, model, rows, *out, "--target-recall", 0.9)) == WRITES
    unjudged = shelf / f"unjudged-{command}"
    from tests.fidelity import random_annotator

    random_annotator("flat tagger").model.save(unjudged, card="")
    assert refusal(run(command, unjudged, rows, *out, "--target-recall", 0.9)) == UNKNOWN
    message = refusal(run(command, model, rows, *out, "--target-recall", 1))
    assert message.endswith("Give a share between 0 and 1, such as 0.99.")


@pytest.fixture(scope="module")
def cautious(shelf: Path) -> Path:
    calibrated_model(is_cautious=True, rows=160).save(shelf / "cautious", card="card")
    return shelf / "cautious"


@pytest.fixture(scope="module")
def types(shelf: Path) -> Path:
    path = shelf / "types.toml"
    path.write_text('[labels]\nNAME = "name"\nAGE = "age"\n')
    return path


EXPECTATION = re.compile(
    r"target coverage (0\.\d+): marks tokens that lie in an identifier with a probability of at "
    r"least 0\.\d{6}; expected: [01]\.\d{4} of identifiers covered, \d+\.\d% of documents without "
    r"a miss, \d+\.\d\d% of other tokens marked; confidence that the target is reached: 90 %\n"
)


def test_annotate_covers_more(cautious: Path, rows: Path, tmp_path: Path) -> None:
    best = run("annotate", cautious, rows)
    more = run("annotate", cautious, rows, "--target-coverage", 0.9)
    assert EXPECTATION.fullmatch(more.err), more.err
    assert 0 <= spans(best.out) < spans(more.out)
    texts = [json.loads(line)["text"] for line in more.out.splitlines()]
    assert texts == [json.loads(line)["text"] for line in best.out.splitlines()]
    out = tmp_path / "out.jsonl"
    run("annotate", cautious, rows, "--target-coverage", 0.9, "--out", out, "--chunk-size", 7)
    assert spans(out.read_text()) == spans(more.out)


def test_evaluate_shows_the_curve_and_the_target(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.json"
    result = run("evaluate", cautious, rows, "--target-coverage", 0.5, "--json", path)
    assert (result.code, result.err) == (0, "")
    coverage = json.loads(path.read_text())["coverage"]
    target = coverage["target"]
    assert (target["wanted"], target["confidence"], target["out_of_reach"]) == (0.5, 0.9, False)
    # The threshold was chosen on these rows twice over.
    assert target["measured"]["covered"] == target["expected"]["covered"] / 2 >= 60
    assert coverage["best_path"]["covered"] < target["measured"]["covered"]
    assert (
        sum(label["covered"] for label in coverage["labels"].values())
        == (target["measured"]["covered"])
    )
    lines = result.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("coverage of identifiers"))
    assert lines[head + 1].startswith("best path ")
    assert lines[head + 2].startswith("target 0.5 ")


def test_patients_without_a_miss_are_counted_beside_documents(
    cautious: Path, rows: Path, tmp_path: Path
) -> None:
    path, table, report = (tmp_path / name for name in ("s.json", "t.csv", "r.html"))
    lines = rows.read_text().splitlines()
    named = [f"{number % 3},{line}" for number, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"who,{lines[0]}", *named]) + "\n")
    options = ("--patient", "who", "--target-coverage", 0.5, "--json", path, "--report", report)
    result = run("evaluate", cautious, table, *options)
    assert (result.code, result.err) == (0, "")
    head = next(x for x in result.out.splitlines() if x.startswith("coverage of identifiers"))
    assert head.split()[3:7] == ["covered", "characters", "documents", "patients"]
    coverage = json.loads(path.read_text())["coverage"]
    assert {point["patients"] for point in (coverage["best_path"], *coverage["curve"])} == {3}
    assert '<th scope="col" class="n">patients without a miss</th>' in report.read_text()
    missed = Counter(one["label"] for one in coverage["missed"])
    labels = coverage["labels"].items()
    assert missed == Counter({label: x["identifiers"] - x["covered"] for label, x in labels})
    plain = run("evaluate", cautious, rows)
    assert "patients" not in plain.out


def test_the_coverage_of_redaction_is_that_of_what_it_replaces(
    cautious: Path, rows: Path, types: Path, model: Path, tmp_path: Path
) -> None:
    path, report, clean = (tmp_path / name for name in ("s.json", "r.html", "clean"))
    patterns = tmp_path / "patterns.toml"
    patterns.write_text("[word]\nlabel = \"ID\"\npattern = 'Dr'\n")
    redaction = {"--phi-types": types, "--policy": "limited-data-set", "--patterns": patterns}
    options = ("--target-coverage", 0.5, *chain(*redaction.items()))
    written = ("--json", path, "--report", report)
    result = run("evaluate", cautious, rows, "--propagate", *options, *written)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("coverage of redaction"))
    assert lines[head + 2].startswith("target 0.5 ")
    coverage = json.loads(path.read_text())["coverage"]
    assert coverage["is_propagated"]
    assert set(coverage["labels"]) == {"NAME"}  # the policy keeps ages
    missed = coverage["labels"]["NAME"]["identifiers"] - coverage["labels"]["NAME"]["covered"]
    assert len(coverage["missed"]) == missed
    assert coverage["best_path"]["marked_other_tokens"] >= 40  # of the pattern, in every other row
    assert "Covered is what redaction replaces" in report.read_text()
    redacted = run("redact", cautious, rows, "--out", clean, *options, "--gold", rows)
    assert redacted.code == 0, redacted
    leaks = json.loads((clean / "report.json").read_text())["leaks"]
    measured = coverage["target"]["measured"]
    assert leaks["identifiers"] - leaks["missed"] == measured["covered"]
    assert leaks["lost_tokens"] == measured["marked_other_tokens"]
    assert leaks["other_tokens"] == measured["other_tokens"]
    for (option, value), says in zip(
        redaction.items(), ("propagates", "replaces", "finds"), strict=True
    ):
        assert refusal(run("evaluate", cautious, rows, option, value)) == (
            f"{option} says what redaction {says}. Give --propagate too, or leave it off."
        )
    message = refusal(run("evaluate", model, rows, "--propagate"))
    assert message == (
        "--propagate measures coverage at all thresholds, and this model knows no probabilities of "
        "tokens. Leave it off, or train a model with --model tagger."
    )


def test_lost_words_are_listed_in_files_alone(cautious: Path, rows: Path, tmp_path: Path) -> None:
    path, report = tmp_path / "s.json", tmp_path / "r.html"
    options = ("--target-coverage", 0.5, "--lost-words", 2)
    result = run("evaluate", cautious, rows, *options, "--json", path, "--report", report)
    assert (result.code, result.err) == (0, "")
    words = json.loads(path.read_text())["lost_words"]
    assert 0 < len(words) <= 2
    assert words[0]["lost"] >= words[-1]["lost"] > 0
    assert f'<th scope="row">{words[0]["word"]}</th>' in report.read_text()
    assert refusal(run("evaluate", cautious, rows, *options)) == (
        "--lost-words lists words of the texts in a file, and none is written. Give --json or "
        "--report too."
    )
    masked = run("evaluate", cautious, rows, *options, "--report", tmp_path / "m.html", "--redact")
    assert refusal(masked) == (
        "--redact keeps words out of the report, and --lost-words lists some. Leave one of them "
        "off."
    )


def test_redact_covers_by_itself(cautious: Path, rows: Path, types: Path, tmp_path: Path) -> None:
    counts = {}
    for name, options in (("coverage", ()), ("best", ("--best-path",))):
        out = tmp_path / name
        result = run("redact", cautious, rows, "--out", out, "--phi-types", types, *options)
        assert result.code == 0, result
        if name == "coverage":
            warning, expectation = result.err.splitlines(keepends=True)
            assert EXPECTATION.match(expectation), result.err
            start, end = warning.split("replace ")
            assert start == "warning: a coverage of 0.99 is expected to "
            assert re.fullmatch(
                r"\d\d\.\d% of the other tokens as well, because the model is unsure\. --best-path "
                r"replaces the likeliest spans alone, and a lower --target-coverage fewer tokens; "
                r"more training pairs help most\.\n",
                end,
            )
        else:
            assert result.err == ""
        counts[name] = json.loads((out / "report.json").read_text())["replaced"]
        config = json.loads((out / "config.json").read_text())
        assert config["target_coverage"] == (0.99 if name == "coverage" else None)
    assert counts["best"] < counts["coverage"]


def test_redact_says_if_it_cannot_cover(
    rows: Path, types: Path, shelf: Path, tmp_path: Path
) -> None:
    plain = shelf / "uncalibrated"
    random_annotator("flat tagger").model.save(plain, card="card")
    result = run("redact", plain, rows, "--out", tmp_path / "out", "--phi-types", types)
    assert (result.code, result.err) == (
        0,
        "warning: replaces the likeliest spans only: this model has no calibration: it was "
        "validated on too few spans. Measure what it misses with --gold.\n",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--min-score", 0.5, "--target-coverage", 0.9),
            "--min-score leaves alone what --target-coverage asks to find. Leave one of them off.",
        ),
        (
            ("--best-path", "--target-recall", 0.9),
            "--best-path leaves alone what --target-recall asks to find. Leave one of them off.",
        ),
        (
            ("--target-coverage", 0.9, "--target-recall", 0.9),
            "--target-recall and --target-coverage are two ways to mark more. Leave one off: "
            "recall is for spans with exact edges, coverage for text that is to be hidden.",
        ),
    ],
)
def test_targets_that_contradict_are_refused(
    options: tuple[object, ...],
    message: str,
    cautious: Path,
    rows: Path,
    types: Path,
) -> None:
    out = ("--out", types.parent / "never", "--phi-types", types)
    assert refusal(run("redact", cautious, rows, *out, *options)) == message


def test_a_coverage_without_room_for_chance_is_told() -> None:
    target = CoverageTarget(0.9, _POINT, confidence=0, is_out_of_reach=False)
    assert list(coverage_warnings(target)) == [
        "a coverage of 0.9 is not promised: of 200 identifiers that the model was validated "
        "on, too few can be covered to leave room for chance. It marks whatever may lie in one."
    ]
    target = replace(target, is_out_of_reach=True)
    assert list(coverage_warnings(target)) == [
        "a coverage of 0.9 is out of reach: of 200 identifiers that the model was validated "
        "on, 0.5000 can be covered at all. It marks whatever may lie in one."
    ]


_POINT = CoveragePoint(
    threshold=1e-6,
    identifiers=200,
    covered=100,
    characters=400,
    covered_characters=200,
    documents=10,
    clean_documents=5,
    marked_tokens=100,
    other_tokens=1000,
    marked_other_tokens=0,
)
