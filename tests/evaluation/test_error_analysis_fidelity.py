from __future__ import annotations

import pytest

from annoseq.evaluation.error_analysis import FIDELITY_ERRORS, count_fidelity_errors

TEXT = "Dear Dr. Ames:"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Dear Dr. {{NAME}}Ames{{/NAME}}:", set()),
        (TEXT, set()),
        ("Dear Dr. {{NAME}}Ames{{/NAME}}", {"changed"}),
        ("Dear Dr. {{NAME}}Bond{{/NAME}}:", {"changed", "not_in_text"}),
        ("Dear Dr. {{NAME}}Ames:", {"malformed"}),
        ("Dear {{NAME}}Bond", {"malformed", "changed"}),
        ("Dear Dr. {{WHO}}Ames{{/WHO}}:", {"unknown_label"}),
        ("Dear Dr. {{WHO}}Ames:", {"unknown_label", "malformed"}),
        ("", {"changed"}),
    ],
)
def test_each_fault_is_counted_once(output: str, expected: set[str]) -> None:
    counts = count_fidelity_errors(TEXT, output, labels={"NAME"})
    assert counts.pop("fidelity.outputs") == 1
    assert counts == {f"fidelity.{fault}": 1 for fault in expected}
    assert expected <= set(FIDELITY_ERRORS)
