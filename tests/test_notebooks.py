"""The training notebook: every cell runs, and its outputs are what its prose says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jupytext
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.e2e

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "training.md"
KERNEL = "annoseq-tests"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells, executed by a kernel of the Python that runs this test."""
    folder = tmp_path_factory.mktemp("jupyter")
    spec = folder / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": KERNEL, "language": "python"}))
    notebook = jupytext.read(NOTEBOOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))  # nobody's startup files
        patch.setenv("TMPDIR", str(folder))
        client = NotebookClient(notebook, kernel_name=KERNEL, timeout=300)
        client.execute(cwd=str(folder))  # raises where a cell fails
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], code: str) -> list[Any]:
    """Return the outputs of the one cell that holds `code`."""
    (matching,) = (cell for cell in cells if code in cell.source)
    return list(matching.outputs)


def kinds(cells: list[Any], code: str) -> set[str]:
    """Return the MIME types that the cell with `code` shows."""
    return {kind for output in outputs(cells, code) for kind in output.get("data", {})}


def printed(cells: list[Any], code: str) -> str:
    """Return the text of the cell with `code`."""
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for output in outputs(cells, code)
    )


def test_its_header_is_jupytexts() -> None:
    metadata = jupytext.read(NOTEBOOK).metadata
    assert metadata["kernelspec"]["name"] == "python3"
    assert metadata["jupytext"]["text_representation"]["format_name"] == "markdown"


def test_every_cell_ran(cells: list[Any]) -> None:
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("code", ["finding.plot()", "learner.recorder.plot()"])
def test_plots_are_there(cells: list[Any], code: str) -> None:
    assert "image/png" in kinds(cells, code)


@pytest.mark.parametrize(
    "code",
    [
        "pairs.head()",
        "pairs.tail()",
        "encoded.offsets",
        "dataset.show_batch(4",
        "recorder.to_frame()",
        "pd.DataFrame(runs)",
        "predictions.show(5)",
        "predictions.to_frame()",
        "train_predictions.show(",
        'dataset.show_batch(2, model="tagger")',
        "exact rows",
        "tagger.predictions().show(5)",
        "annotator.annotate(texts[0])",
    ],
)
def test_tables_are_there(cells: list[Any], code: str) -> None:
    assert "text/html" in kinds(cells, code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("check.show(", ["Healthy", "DATE", "task annotate"]),
        ("len(dataset.train)", ["training rows", "validation rows", "target vocabulary"]),
        ("dataset.show_batch(4", ["<unk:", "·"]),
        ("dataset.show_batch(2", ["/S-", "·"]),
        ("tagger = Learner(", ["span_f1"]),
        ("exact rows", ["notebook's network", "tagger"]),
        ("batch.target.shape", ["source (16, ", "target (16, "]),
        ("learner = Learner(", ["Gru(", "(encoder): GRU(", "(bridge): Linear("]),
        ("learner.network.start(", ["hidden (2, 16, "]),
        ("learner.lr_find()", ["suggested rate "]),
        ("recorder.to_frame()", ["padded_accuracy", "\n10 "]),
        ("learner.save(", ["weights.safetensors", "card.md"]),
        ("prediction.output", ["source ", "target ", "output "]),
    ],
)
def test_a_cell_shows_what_the_prose_before_it_says(
    cells: list[Any], code: str, words: list[str]
) -> None:
    text = printed(cells, code)
    assert [word for word in words if word not in text] == []


def test_one_line_is_written_for_each_text(cells: list[Any]) -> None:
    lines = printed(cells, "Annotator.load(").strip().splitlines()
    assert len([line for line in lines if "Ames" in line or "March" in line]) == 2


def test_the_tagger_beats_the_network_on_the_same_rows(cells: list[Any]) -> None:
    (line,) = (
        line for line in printed(cells, "exact rows").splitlines() if line.startswith("exact rows")
    )
    network, tagger = map(float, line.split()[-2:])
    assert tagger > network


def test_its_prose_holds_no_measured_figure() -> None:
    prose = [cell.source for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "markdown"]
    figures = [word for text in prose for word in text.split() if "." in word.strip(".,;:()`")]
    assert [figure for figure in figures if figure[:1].isdigit()] == []
