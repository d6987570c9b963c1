from __future__ import annotations

import pytest

from annoseq.errors import ModelError
from annoseq.models.serialization import TrainingHistory
from tests.reporting.samples import sample_history


def test_what_was_written_is_read() -> None:
    history = sample_history()
    assert TrainingHistory.read(history.model_dump_json()) == history


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "the whole file: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        ('{"epochs": [], "steps": 0, "losses": []}', "rates: Field required"),
    ],
)
def test_a_damaged_file(content: str, fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        TrainingHistory.read(content)
    assert str(caught.value) == (
        f"history.json is damaged or of another version ({fault}). Use the version that wrote it, "
        "or train again."
    )
