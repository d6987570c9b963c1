"""The table at the end of `make demo`: the tagger and the notebook's network on the same rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MODELS = {"tagger": "tagger", "notebook": "the notebook's network"}


def read_times(folder: Path) -> dict[str, float]:
    """Return the seconds that each timed command took, by name."""
    lines = (folder / "times.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {name: float(end) - float(began) for name, began, end in rows}


def column(scores: dict[str, Any], times: dict[str, float], model: str) -> list[str]:
    """Return a model's figures in the order of `FIGURES`."""
    gold = sum(one["gold"] for one in scores["labels"].values())
    return [
        f"{scores['scores']['changed']['value']:.1%}",
        f"{round(scores['span_recall'] * gold)} of {gold}",
        f"{scores['span_f1']:.3f}",
        f"{scores['exact_match']:.1%}",
        f"{times[f'{model}.training']:.0f} s",
        f"{times[f'{model}.annotation']:.0f} s",
    ]


FIGURES = (
    "outputs that change the text, decoded freely",
    "spans found",
    "span F1",
    "rows annotated without an error",
    "training",
    "annotating 4,000 rows, start-up included",
)


def main() -> None:
    """Print the table as Markdown."""
    folder = Path(sys.argv[1])
    times = read_times(folder)
    columns = [
        column(json.loads((folder / f"{model}.json").read_text(encoding="utf-8")), times, model)
        for model in MODELS
    ]
    lines = [f"| the same validation rows | {' | '.join(MODELS.values())} |", "|---|---:|---:|"]
    for name, *cells in zip(FIGURES, *columns, strict=True):
        lines.append(f"| {name} | {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
