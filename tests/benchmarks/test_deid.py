"""Figures of a comparison of systems that find identifiers, and its report of made-up results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.data.examples import Example
from annoseq.data.markup import Span, parse
from annoseq.deid.policy import Policy
from annoseq.deid.redactor import Redactor
from benchmarks import deid
from benchmarks.deid_scores import Corpus, measure, official_scores, redact_spans
from tests.deid.documents import TABLE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

LABEL = "NOMBRE_SUJETO_ASISTENCIA"
AMES = f"{{{{{LABEL}}}}}Ames{{{{/{LABEL}}}}}"
TARGETS = [f"Dr. {AMES} came", f"saw {AMES}"]


def corpus() -> Corpus:
    parsed = [parse(target) for target in TARGETS]
    examples = [
        Example(text, target, tuple(spans), row, "a")
        for row, (target, (text, spans)) in enumerate(zip(TARGETS, parsed, strict=True), 1)
    ]
    return Corpus("meddocan", examples, Redactor(TABLE, Policy.uniform("mask")))


def test_a_value_found_once_is_covered_everywhere() -> None:
    found = [[Span(4, 8, LABEL)], [Span(0, 3, LABEL)]]
    points = [
        measure(corpus(), redact_spans(corpus(), found, propagates=propagates)[0])
        for propagates in (True, False)
    ]
    assert [point.covered for point in points] == [2, 1]
    assert [point.clean_documents for point in points] == [1, 0]
    assert [point.marked_other_tokens for point in points] == [1, 1]
    scores = official_scores(corpus(), found)
    assert scores["i2b2 strict, MEDDOCAN NER"] == scores["i2b2 strict, HIPAA"] == 0.5


def test_results_are_joined(tmp_path: Path) -> None:
    figures = {"covered": 0.9, "clean": [3, 4], "lost": 0.01, "precision": 0.8, "notes": 12.5}
    machine = {"processor": "x", "load": "1.0 processes"}
    names = ("ours-meddocan-42", "presidio-asq_phi-0")
    for name in names:
        kept: dict[str, Any] = {
            "modes": {"target 0.99" if name.startswith("ours") else "": figures},
            "official": {"MEDDOCAN merged": 0.5},
            "story": name,
            "machine": machine,
        }
        if name.startswith("ours"):
            kept["points"] = {"as redacted": [[0.99, 0.85, 0.003]]}
        (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    out = tmp_path / "report.md"
    assert deid.main(["--results", str(tmp_path), "--join", "--out", str(out)]) == 0
    lines = out.read_text().splitlines()
    ours = "| meddocan | ours-meddocan-42, target 0.99 | 0.9000 | 3 of 4 | 1.00% | 0.8000 | 12.5 |"
    assert ours in lines
    assert "| asq_phi | presidio-asq_phi-0 |  |  |  |  | 0.5000 |  |  |  |" in lines
    assert "| meddocan | ours-meddocan-42, as redacted | 0.9900 | 0.850 | 0.30% |" in lines
