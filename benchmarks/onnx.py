"""Speed, start, memory and scores of one tagger in torch, in ONNX and in ONNX int8, and of spaCy.

Needs the models that `python -m benchmarks.tagger` leaves.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.data.examples import parse_pairs
from annoseq.data.splits import split_rows
from annoseq.errors import OptionError
from annoseq.models.serialization import TrainedModel
from annoseq.training.onnx_export import Quantization, export_onnx
from benchmarks.budget import TIMING_NOTE, cache_folder, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import children_cpu_seconds, describe_machine, markdown_table
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
MAX_RECALL_LOSS = 0.002
SCORES = ("precision", "recall", "f1")
SPACY_START = (
    "import spacy, sys; "
    "print([ent.label_ for ent in spacy.load(sys.argv[1])(open(sys.argv[2]).read()).ents])"
)


@dataclass(frozen=True)
class System:
    """A system: its kind in `benchmarks.onnx_system`, and its model."""

    name: str
    kind: str
    model: Path

    def start_command(self, note: Path) -> list[str]:
        """Return the command that prints the result of one note."""
        if self.kind == "spacy":
            return [sys.executable, "-c", SPACY_START, str(self.model), str(note)]
        return [sys.executable, "-m", "annoseq", "annotate", str(self.model), str(note)]

    def megabytes(self) -> float:
        """Return the size of the model on disk."""
        files = [self.model] if self.model.is_file() else self.model.rglob("*")
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def export_systems(options: argparse.Namespace, folder: Path) -> list[System]:
    """Export the tagger, and return all systems.

    Raises:
        OptionError: a model is missing.
        ModelError: quantization costs too much recall.
    """
    for model in (options.model, options.spacy):
        if not model.exists():
            raise OptionError(f"{model}: there is no model. Run python -m benchmarks.tagger first.")
    model = TrainedModel.load(options.model)
    train, _ = read_tables(options.data, first=None)  # the split of all rows is the model's
    examples = parse_pairs(train, task="annotate").examples
    data = model.config.data
    _, valid = split_rows(examples, share=data.valid_share, by=data.split_by, seed=data.split_seed)
    quantization = Quantization(
        [examples[row] for row in valid], options.max_recall_loss, is_held_out=True
    )
    export_onnx(model, folder / "float32.onnx")
    export_onnx(model, folder / "int8.onnx", quantization=quantization)
    return [
        System("torch", "annoseq", options.model),
        System("ONNX, float32", "annoseq", folder / "float32.onnx"),
        System("ONNX, int8", "annoseq", folder / "int8.onnx"),
        System("spaCy's NER", "spacy", options.spacy),
    ]


def start_seconds(system: System, folder: Path) -> float:
    """Return the processor seconds to the result of one line: the least of three runs."""
    note = folder / "note.txt"
    note.write_text("Paciente de 31 años.\n", encoding="utf-8")
    return min(_run(system.start_command(note))[1] for _ in range(3))


def _run(command: list[str]) -> tuple[str, float]:
    """Return the output of a command, and the processor seconds that it took."""
    # An installed package has been compiled; here the first of some runs does that.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = children_cpu_seconds()
    ran = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    return ran.stdout, children_cpu_seconds() - before


def run(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Measure everything; return the table and the facts of the report."""
    machine = describe_machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        systems = export_systems(options, folder)
        starts = {system.name: start_seconds(system, folder) for system in systems}
        rounds: dict[str, list[dict[str, float]]] = {system.name: [] for system in systems}
        for number in range(options.rounds):
            for system in systems:
                words = [system.kind, str(system.model), str(options.data), str(options.rows or 0)]
                output, _ = _run([sys.executable, "-m", "benchmarks.onnx_system", *words])
                rounds[system.name].append(json.loads(output.splitlines()[-1]))
            log(f"round {number + 1} of {options.rounds}")
        rows = [
            [
                system.name,
                f"{statistics.median(one['speed'] for one in rounds[system.name]):,.0f}",
                f"{starts[system.name]:.2f}",
                f"{max(one['memory'] for one in rounds[system.name]):,.0f}",
                f"{system.megabytes():.1f}",
                *(
                    f"{rounds[system.name][0][score]:.4f}"
                    for score in ("precision", "recall", "f1")
                ),
            ]
            for system in systems
        ]
    head = ["", "characters/s", "start, s", "memory, MiB", "model, MB", "precision", "recall", "F1"]
    facts = {
        "dev rows": "annotated once, after the training rows; of the rounds the median speed",
        "rounds": str(options.rounds),
        **machine,
        "onnxruntime": version("onnxruntime"),
    }
    return [markdown_table(head, rows)], facts


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("onnx", "Measure a tagger in ONNX files.", report=REPORT)
    add, tagger = parser.add_argument, cache_folder("tagger")
    add("--model", type=Path, default=tagger / "tagger-meddocan.model", help="of the tagger")
    spacy = tagger / "spacy-meddocan.model" / "pipeline" / "model-best"
    add("--spacy", type=Path, default=spacy, help="spaCy's pipeline")
    add("--rounds", type=int, default=3, help="of all systems in turn")
    add("--max-recall-loss", type=float, default=MAX_RECALL_LOSS, help="of int8")
    return read_options(parser, arguments, above_zero=("rounds",))


ABOUT = f"""\
One tagger as a model folder (torch), as an ONNX file, and as an ONNX file that was quantized with
`--int8`, beside spaCy's NER trained on the same rows. Each is a process of its own that annotates
MEDDOCAN's training rows, and then the dev rows, which are timed: the steady state of a program that
has met other texts of the kind. Start is the processor time of a command that prints the result of
one line. {TIMING_NOTE}"""


BENCHMARK = Benchmark(name="onnx", title="Taggers in ONNX files", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())
