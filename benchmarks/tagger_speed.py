"""Annotation speed of a trained tagger, spaCy's NER, and greedy decoding with the notebook's GRU.

Needs the models that `python -m benchmarks.tagger` and `python -m benchmarks.models` leave.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import torch

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.models.encoders import BiLstmEncoder
from annoseq.models.tagger import Tagger
from benchmarks.budget import TIMING_NOTE, cache_folder, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import children_cpu_seconds, describe_machine, markdown_table
from benchmarks.meddocan import read_tables
from benchmarks.streaming import annoseq

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

REPORT = Path(__file__).with_suffix(".md")
CPU = DeviceConfig(device="cpu")
WIDE = BatchConfig(batch_size=256, batch_tokens=16_384)
NARROW = BatchConfig(batch_size=64)
SQUARE = 1024


def annotators(options: argparse.Namespace) -> dict[str, Callable[[Sequence[str]], object]]:
    """Return annotating functions by name: the tagger, spaCy, the tagger with parts disabled.

    Raises:
        OptionError: a model is missing.
    """
    for folder in (options.model, options.spacy):
        if not folder.exists():
            raise OptionError(
                f"{folder}: there is no model. Run python -m benchmarks.tagger first."
            )
    import spacy

    annotator = Annotator.load(options.model, device=CPU)
    nlp = spacy.load(options.spacy)
    plain = partial(annotator.annotate, advance=_ignore)

    def token_by_token(texts: Sequence[str]) -> object:
        with patch.object(BiLstmEncoder, "_takes_steps", return_value=False):
            return plain(texts)

    def forgetful(texts: Sequence[str]) -> object:
        network = annotator.model.network
        assert isinstance(network, Tagger)
        network.eval()  # which discards the cached token vectors
        return plain(texts)

    return {
        "tagger": plain,
        "spaCy's NER": lambda texts: list(nlp.pipe(texts)),
        "tagger, every word new": forgetful,
        "tagger, batches of 64 rows": partial(plain, batching=NARROW),
        "tagger, torch's LSTM": token_by_token,
    }


def _ignore(_: int) -> None:
    pass


def time_in_turns(
    annotators: Mapping[str, Callable[[Sequence[str]], object]],
    texts: Sequence[str],
    *,
    rounds: int,
) -> dict[str, float]:
    """Return the characters per processor second of each function, measured in turns."""
    spent = dict.fromkeys(annotators, 0.0)
    for number in range(rounds + 1):  # the first warms up
        for name, annotate in annotators.items():
            began = time.process_time()
            annotate(texts)
            spent[name] += (time.process_time() - began) * (number > 0)
        log(f"round {number} of {rounds}")
    return {name: rounds * sum(map(len, texts)) / seconds for name, seconds in spent.items()}


def product_rate() -> float:
    """Return the operations per second of a float32 matrix product."""
    left, right = torch.rand(SQUARE, SQUARE), torch.rand(SQUARE, SQUARE)
    for _ in range(3):
        left @ right
    began = time.process_time()
    for _ in range(20):
        left @ right
    return float(20 * 2 * SQUARE**3 / (time.process_time() - began))


def operations_per_character(annotator: Annotator, texts: Sequence[str]) -> float:
    """Return the matrix operations of a tagger per character."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        annotator.annotate(texts, advance=_ignore)
    return float(counter.get_total_flops() / sum(map(len, texts)))


def first_result(model: Path) -> tuple[float, float, float]:
    """Return the processor seconds of `import torch`, of a first annotation, and its MiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "note.txt"
        path.write_text("Paciente de 31 años.\n", encoding="utf-8")
        bare = min(_seconds([sys.executable, "-c", "import torch"]) for _ in range(3))
        command = [sys.executable, "-m", "annoseq", "annotate", str(model), str(path)]
        whole = min(_seconds(command) for _ in range(3))
        peak = annoseq("annotate", model, path, "--format", "jsonl")
    return bare, whole, peak / 2**20


def _seconds(command: list[str]) -> float:
    # An installed package has been compiled; here the first of some runs does that.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = children_cpu_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return children_cpu_seconds() - before


def run(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Measure everything; return the tables and the facts of the report."""
    machine = describe_machine(torch.device("cpu"))
    bare, whole, memory = first_result(options.model)
    _, dev = read_tables(options.data, first=options.rows)
    texts = [pair.source for pair in dev]
    speeds = time_in_turns(annotators(options), texts, rounds=options.rounds)
    base = speeds["tagger"]
    rows = [[name, f"{one:,.0f}", f"{one / base:.2f}"] for name, one in speeds.items()]
    tables = [markdown_table(["all dev rows", "characters/s", "ratio"], rows)]
    annotator = Annotator.load(options.model, device=CPU)
    if options.notebook.exists():
        greedy = partial(
            Annotator.load(options.notebook, device=CPU).annotate,
            search=SearchConfig(free=True),
            advance=_ignore,
        )
        short = [text for text in texts if 0 < len(text.split()) <= options.max_words][:600]
        both = {"tagger": partial(annotator.annotate, advance=_ignore), "gru, free": greedy}
        found = time_in_turns(both, short, rounds=1)
        rows = [[k, f"{v:,.0f}", f"{v / found['gru, free']:.1f}"] for k, v in found.items()]
        tables.append(
            markdown_table([f"{len(short)} short dev rows", "characters/s", "ratio"], rows)
        )
    operations, rate = operations_per_character(annotator, texts), product_rate()
    facts = {
        "matrix operations": f"{operations / 1e3:,.0f} thousand a character, so that the tagger "
        f"uses {operations * base / rate:.0%} of the rate of a float32 matrix product "
        f"({rate / 1e9:.0f} GFLOP/s, {SQUARE} square)",
        "first result": f"annoseq annotate takes {whole:.1f} s of processor time for one line, "
        f"import torch {bare:.1f} s; at most {memory:,.0f} MiB",
        "dev rows": f"{len(texts):,}, {sum(map(len, texts)):,} characters",
        **machine,
    }
    return tables, facts


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("tagger_speed", "Measure the annotation speed of a tagger.", report=REPORT)
    add, tagger = parser.add_argument, cache_folder("tagger")
    add("--model", type=Path, default=tagger / "tagger-meddocan.model", help="of the tagger")
    spacy = tagger / "spacy-meddocan.model" / "pipeline" / "model-best"
    add("--spacy", type=Path, default=spacy, help="spaCy's pipeline")
    notebook = cache_folder("models") / "gru-word.model"
    add("--notebook", type=Path, default=notebook, help="the notebook's network, if it is there")
    add("--rounds", type=int, default=3, help="after one to warm up")
    add("--max-words", type=int, default=60, help="of the rows that the notebook's network reads")
    return read_options(parser, arguments, above_zero=("rounds", "max_words"))


ABOUT = f"""\
The models of `python -m benchmarks.tagger`, loaded, annotate MEDDOCAN's dev rows in turns, in one
process with one thread; spaCy's pipeline has only the components that its NER needs. In the rows
below those two, one optimization of the tagger is switched off at a time: the cache of the vectors
of known words; large batches; the LSTM's input product for each distinct word of a batch instead of
each token. {TIMING_NOTE}"""


BENCHMARK = Benchmark(name="tagger_speed", title="Annotation speed of the tagger", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())
