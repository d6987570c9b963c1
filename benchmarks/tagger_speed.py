"""Annotation speed of a trained tagger, spaCy's NER, and greedy decoding with the notebook's GRU.

Needs the models that `python -m benchmarks.tagger` and `python -m benchmarks.models` leave.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import patch

import torch

from annoseq.config import BatchConfig, DeviceConfig, SearchConfig
from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.kernels import selection
from annoseq.models.encoders import BiLstmEncoder
from annoseq.models.tagger import CrfHead, Tagger
from benchmarks.budget import TIMING_NOTE, cache_folder, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.measure import children_cpu_seconds, describe_machine, markdown_table
from benchmarks.meddocan import read_tables
from benchmarks.stage_times import stage_seconds
from benchmarks.streaming import annoseq

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

REPORT = Path(__file__).with_suffix(".md")
CPU = DeviceConfig(device="cpu")
NARROW = BatchConfig(batch_size=64)
SQUARE = 1024


Annotate: TypeAlias = "Callable[[Sequence[str]], object]"


def loaders(options: argparse.Namespace) -> dict[str, Callable[[], Annotate]]:
    """Return functions that load the tagger and spaCy's pipeline, as annotating functions.

    Raises:
        OptionError: a model is missing.
    """
    for folder in (options.model, options.spacy):
        if not folder.exists():
            raise OptionError(
                f"{folder}: there is no model. Run python -m benchmarks.tagger first."
            )
    import spacy

    def load_spacy() -> Annotate:
        nlp = spacy.load(options.spacy)
        return lambda texts: list(nlp.pipe(texts))

    def load_tagger() -> Annotate:
        annotator = Annotator.load(options.model, device=CPU)
        return partial(annotator.annotate, advance=_ignore)

    return {
        COMPILED: load_tagger,
        PURE: lambda: without_kernels(load_tagger()),
        PEER: load_spacy,
    }


def without_kernels(annotate: Annotate) -> Annotate:
    """Return a function that annotates as if numba were not installed."""

    def annotate_without(texts: Sequence[str]) -> object:
        with patch.object(selection, "are_available", return_value=False):
            return annotate(texts)

    return annotate_without


COMPILED, PURE, PEER = "tagger, with numba", "tagger, without numba", "spaCy's NER"
STAGE_RUNS = 3
STATES = ("cold", "steady state", "warm")


def time_states(
    load: Mapping[str, Callable[[], Annotate]],
    train: Sequence[str],
    texts: Sequence[str],
    *,
    rounds: int,
) -> list[list[str]]:
    """Measure characters per processor second in all states, in turns; return table rows.

    The last rows are the ratios to the last function: in each round, and of these the median.
    """
    characters = sum(map(len, texts))
    speeds: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        for name, load_one in load.items():
            fresh, used = load_one(), load_one()
            used(train)
            for state, annotate in zip(STATES, (fresh, used, used), strict=True):
                gc.collect()  # not while another is measured
                began = time.process_time()
                annotate(texts)
                spent = time.process_time() - began
                speeds.setdefault((name, state), []).append(characters / spent)
        log(f"round {number + 1} of {rounds}")
    rows = [[name, *(f"{median(speeds[name, state]):,.0f}" for state in STATES)] for name in load]
    *ours, peer = load
    for name in ours:
        ratios = [
            median(a / b for a, b in zip(speeds[name, state], speeds[peer, state], strict=True))
            for state in STATES
        ]
        rows.append([f"ratio of {name}", *(f"{ratio:.1f}" for ratio in ratios)])
    return rows


def variants(options: argparse.Namespace) -> dict[str, Annotate]:
    """Return annotating functions by name: the tagger, and the tagger with parts disabled."""
    annotator = Annotator.load(options.model, device=CPU)
    other = Annotator.load(options.model, device=CPU)  # whose cache is another
    plain = partial(annotator.annotate, advance=_ignore)

    def token_by_token(texts: Sequence[str]) -> object:
        with patch.object(BiLstmEncoder, "_takes_steps", return_value=False):
            return list(other.annotate(texts, advance=_ignore))

    def forgetful(texts: Sequence[str]) -> object:
        network = annotator.model.network
        assert isinstance(network, Tagger)
        network.eval()  # which discards what is cached of tokens
        return plain(texts)

    return {
        COMPILED: plain,
        "with numba, gates of every word computed anew": forgetful,
        "with numba, batches of 64 rows": partial(plain, batching=NARROW),
        PURE: without_kernels(plain),
        "without numba, torch's LSTM": without_kernels(token_by_token),
    }


def stage_rows(model: Path, train: Sequence[str], texts: Sequence[str]) -> list[list[str]]:
    """Return the stages of an annotation in the steady state, with their share of the time.

    Those with numba come first, then those without. Each is the fastest of some runs.
    """
    columns = []
    for are_available in (selection.are_available(), False):
        with patch.object(selection, "are_available", return_value=are_available):
            seconds = min(
                (_steady_stages(model, train, texts) for _ in range(STAGE_RUNS)),
                key=lambda run: sum(run.values()),
            )
        total = sum(seconds.values())
        columns.append(
            {name: (f"{one:.2f}", f"{one / total:.0%}") for name, one in seconds.items()}
        )
    compiled, pure = columns
    return [[name, *compiled[name], *pure[name]] for name in compiled]


def _steady_stages(model: Path, train: Sequence[str], texts: Sequence[str]) -> dict[str, float]:
    annotator = Annotator.load(model, device=CPU)
    annotator.annotate(train, advance=_ignore)
    gc.collect()
    return stage_seconds(annotator, texts)


def compare_outputs(model: Path, texts: Sequence[str]) -> str:
    """Return how many texts have equal spans with and without numba, and how scores differ."""
    annotator = Annotator.load(model, device=CPU)
    found = annotator.annotate(texts, advance=_ignore)
    with patch.object(selection, "are_available", return_value=False):
        expected = annotator.annotate(texts, advance=_ignore)
    equal = sum(one.spans == other.spans for one, other in zip(found, expected, strict=True))
    scores = [
        [span.score or 0.0 for row in rows for span in row.spans or ()]
        for rows in (found, expected)
    ]
    difference = max((abs(a - b) for a, b in zip(*scores, strict=False)), default=0.0)
    return (
        f"{equal:,} of {len(texts):,} rows have the same spans; scores differ by "
        f"{difference:.0e} at most"
    )


def _ignore(_: int) -> None:
    pass


def time_in_turns(
    annotators: Mapping[str, Annotate],
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
    """Return the operations per character that every token needs: recurrent products and scores."""
    network = annotator.model.network
    assert isinstance(network, Tagger)
    assert isinstance(network.encoder, BiLstmEncoder)
    assert isinstance(network.head, CrfHead)
    recurrent = sum(
        layer.get_parameter("weight_hh_l0").numel()
        for layer in (*network.encoder.forwards, *network.encoder.backwards)
    )
    tokens = sum(len(text.ids) for text in annotator.predictor.tokenize(texts))
    products = recurrent + network.head.output.get_parameter("weight").numel()
    return float(2 * products * tokens / sum(map(len, texts)))


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
    train, dev = read_tables(options.data, first=options.rows)
    known, texts = [pair.source for pair in train], [pair.source for pair in dev]
    rows = time_states(loaders(options), known, texts, rounds=options.rounds)
    tables = [markdown_table(["all dev rows, characters/s", *STATES], rows)]
    rows = stage_rows(options.model, known, texts)
    header = ["stage, in the steady state", "with numba, seconds", "share", "without", "share"]
    tables.append(markdown_table(header, rows))
    speeds = time_in_turns(variants(options), texts, rounds=options.rounds)
    base = speeds[COMPILED]
    rows = [[name, f"{one:,.0f}", f"{one / base:.2f}"] for name, one in speeds.items()]
    tables.append(markdown_table(["all dev rows, warm", "characters/s", "ratio"], rows))
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
        "matrix operations": f"{operations / 1e3:,.0f} thousand a character for recurrent products "
        f"and tag scores, {operations * base / rate:.0%} of the rate of a float32 matrix product "
        f"({rate / 1e9:.0f} GFLOP/s, {SQUARE} square) with numba",
        "with and without numba": compare_outputs(options.model, texts),
        "first result": f"annoseq annotate takes {whole:.1f} s of processor time for one line, "
        f"import torch {bare:.1f} s; at most {memory:,.0f} MiB",
        "dev rows": f"{len(texts):,}, {sum(map(len, texts)):,} characters",
        "numba": f"{version('numba')}; one line is annotated without it",
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
The models of `python -m benchmarks.tagger` annotate MEDDOCAN's dev rows in turns, in one process
with one thread; spaCy's pipeline has only the components that its NER needs. Cold: the first texts
after loading, but numba is loaded once for all. Steady state: after the training rows, each dev row
once, as in a large corpus. Warm: the same texts again. Medians of the rounds; the ratio is that of
each round. With numba, the extra `fast`, inner loops are compiled code; spans are compared in the
same run.

The stages are those of `annoseq annotate` to JSONL in chunks of 1,000 texts. In the table after
them, one optimization of the tagger is switched off at a time: the cache of the LSTM's input gates
of known words; large batches; compiled code; the steps of both directions of the LSTM together.
{TIMING_NOTE}

Both were slowed by other processes, spaCy's NER more than the tagger: on a quiet core it had
annotated 54,262 characters a second, and the tagger without numba 259,483, 4.9 times as many,
before rows of about the same length were decoded together (1.13 to 1.22 times the speed). Where the
table has 6.6 without numba, 5.5 to 6 would be expected of a quiet core, and some 9 times with
numba. That was not measured.

The recurrent products of a token take 3.0 microseconds at the full rate of a float32 product on
this processor, which has neither bfloat16 nor 8-bit instructions. Measured on small batches while
other processes ran: the kernel takes 2.9 microseconds for them, with 6 rows as with 192; torch's
product 7.8 with 6 rows, 3.5 with 48, 2.9 with 192; a loop over columns that numba vectorizes by
itself 3.4 to 4.1. Gates, cells and outputs take 0.8 more in the kernel, and the gathering of input
gates about 1. All spans of a CRF with 22 labels take 0.9 microseconds a token in the kernel, and
5.9 in numpy.

Without numba, rows of about the same length are decoded together, so that 21 % of what is decoded
is padding instead of 49 %. The kernels decode no padding.

Tried, and not kept: steps and gradients of the LSTM in Python for training (0.87 of the speed of
torch's, which takes three fifths of a training step); input gates that are fetched a step ahead
(1.04 to 1.08 of the speed of the LSTM). Counted, and not built: LSTM steps shared by rows that
begin or end alike (11 % fewer here), equal texts read once (3 % of the tokens).

A training step on MEDDOCAN (32 rows) is bound by the same product: oneDNN's LSTM takes 29 % forward
and 42 % backward, AdamW 8 %, the CRF 7 %, clipping 5 %, all else 9 %. If all but the LSTM took no
time, it would be 1.4 times as fast. `python -m benchmarks.training_cores` measures two cores, and
tells what was tried there."""


BENCHMARK = Benchmark(name="tagger_speed", title="Annotation speed of the tagger", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())
