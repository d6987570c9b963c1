from __future__ import annotations

from typing import Any

from annoseq.deid.redaction_report import RedactionReport, merge_reports, shorten_report

_SCORES = [
    {"score": 0.1, "text": "1", "start": 0, "end": 2},
    {"score": 0.2, "text": "1", "start": 3, "end": 5},
]
LABELS = {"NAME": {"type": "name", "replaced": 2, "lowest_scores": _SCORES}}


def values(**changed: Any) -> dict[str, Any]:
    return {**RedactionReport().to_dict(), **changed}


def test_reports_of_parts_are_added_up() -> None:
    names = [str(number) for number in range(30)]
    first = shorten_report(values(documents=2, labels=LABELS))
    second = shorten_report(values(documents=3, labels=LABELS, documents_without_any_span=names))
    merged = merge_reports([("a", first), ("b", second)])
    assert merged["documents"] == 5
    assert merged["number_without_any_span"] == 30
    assert merged["documents_without_any_span"] == [f"b: {name}" for name in names[:20]]
    assert (merged["labels"]["NAME"]["replaced"], merged["labels"]["NAME"]["type"]) == (4, "name")
    lowest = merged["labels"]["NAME"]["lowest_scores"]
    assert [(score["part"], score["score"]) for score in lowest] == [
        ("a", 0.1),
        ("b", 0.1),
        ("a", 0.2),
        ("b", 0.2),
    ]
    assert first["labels"] == LABELS


def test_no_reports_are_an_empty_report() -> None:
    assert merge_reports([]) == shorten_report(values())
