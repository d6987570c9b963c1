"""The Spark example of the documentation annotates a Parquet table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from annoseq.inference.annotator import Annotator
from tests.cli.command import run

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "spark.md"


def example() -> str:
    """Return the Python block of the page."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    return found[1]


def test_the_example_is_short() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 15


@pytest.mark.slow
def test_the_example_annotates_as_one_process_does(model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs a Java runtime")
    assert run("sample", tmp_path / "notes.parquet", "--rows", 12).code == 0
    (tmp_path / "model").symlink_to(model_folder)
    subprocess.run(
        [sys.executable, "-c", example()],
        cwd=tmp_path,
        check=True,
        timeout=300,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable},
    )
    table = ds.dataset(tmp_path / "annotated.parquet", format="parquet").to_table()
    assert table.num_rows == 12
    annotator = Annotator.load(model_folder, device="cpu")
    for row in table.to_pylist():
        assert annotator.annotate(row["orig_text"]).annotated == row["annotated"]
