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
from statistics import median
from typing import TYPE_CHECKING, TypeAlias
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

    return {"tagger": load_tagger, "spaCy's NER": load_spacy}


STATES = ("cold", "steady state", "warm")


def time_states(
    load: Mapping[str, Callable[[], Annotate]],
    train: Sequence[str],
    texts: Sequence[str],
    *,
    rounds: int,
) -> list[list[str]]:
    """Measure characters per processor second in all states, in turns; return table rows.

    The last row is the ratio of the first two: in each round, and of these the median.
    """
    characters = sum(map(len, texts))
    speeds: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        for name, load_one in load.items():
            fresh, used = load_one(), load_one()
            used(train)
            for state, annotate in zip(STATES, (fresh, used, used), strict=True):
                began = time.process_time()
                annotate(texts)
                spent = time.process_time() - began
                speeds.setdefault((name, state), []).append(characters / spent)
        log(f"round {number + 1} of {rounds}")
    rows = [[name, *(f"{median(speeds[name, state]):,.0f}" for state in STATES)] for name in load]
    ours, peer = load
    ratios = [
        median(a / b for a, b in zip(speeds[ours, state], speeds[peer, state], strict=True))
        for state in STATES
    ]
    return [*rows, ["ratio", *(f"{ratio:.1f}" for ratio in ratios)]]


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
        "tagger": plain,
        "tagger, gates of every word computed anew": forgetful,
        "tagger, batches of 64 rows": partial(plain, batching=NARROW),
        "tagger, torch's LSTM": token_by_token,
    }


def stage_rows(model: Path, train: Sequence[str], texts: Sequence[str]) -> list[list[str]]:
    """Return the stages of an annotation in the steady state, with their share of the time."""
    annotator = Annotator.load(model, device=CPU)
    annotator.annotate(train, advance=_ignore)
    seconds = stage_seconds(annotator, texts)
    total = sum(seconds.values())
    return [[name, f"{one:.2f}", f"{one / total:.0%}"] for name, one in seconds.items()]


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
    train, dev = read_tables(options.data, first=options.rows)
    known, texts = [pair.source for pair in train], [pair.source for pair in dev]
    rows = time_states(loaders(options), known, texts, rounds=options.rounds)
    tables = [markdown_table(["all dev rows, characters/s", *STATES], rows)]
    rows = stage_rows(options.model, known, texts)
    tables.append(markdown_table(["stage, in the steady state", "seconds", "share"], rows))
    speeds = time_in_turns(variants(options), texts, rounds=options.rounds)
    base = speeds["tagger"]
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
        "matrix operations": f"{operations / 1e3:,.0f} thousand a character, without those of "
        "in-place products, which FlopCounterMode does not count, so that the tagger uses at least "
        f"{operations * base / rate:.0%} of the rate of a float32 matrix product "
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
The models of `python -m benchmarks.tagger` annotate MEDDOCAN's dev rows in turns, in one process
with one thread; spaCy's pipeline has only the components that its NER needs. Cold: the first texts
after loading. Steady state: after the training rows, each dev row once, as in a large corpus. Warm:
the same texts again. Medians of the rounds; the ratio is that of each round.

The stages are those of `annoseq annotate` to JSONL in chunks of 1,000 texts. In the table after
them, one optimization of the tagger is switched off at a time: the cache of the LSTM's input gates
of known words; large batches; the steps of both directions of the LSTM together. {TIMING_NOTE}

Tried, and not kept: steps and gradients of the LSTM in Python for training (0.87 of the speed of
torch's, which takes three fifths of a training step). Counted, and not built: LSTM steps shared by
rows that begin or end alike (11 % fewer here), equal texts read once (3 % of the tokens).

Where the LSTM's time goes, in nanoseconds a token, by the rows of a batch and their tokens (least
of 7 runs, default network):

| LSTM steps | 32 rows of 300 to 400 | 128 of 50 to 70 | 256 of 20 to 26 |
| --- | ---: | ---: | ---: |
| recurrent product | 4,938 | 3,859 | 3,243 |
| gathering of input gates | 1,611 | 1,356 | 1,143 |
| sigmoids of gates | 3,427 | 1,827 | 873 |
| cell and output | 3,377 | 2,413 | 1,491 |
| all | 13,353 | 9,455 | 6,750 |

Ten times spaCy's NER would be some 540,000 characters a second, or 10 microseconds a token for
everything. The recurrent product takes a third of that at the full rate of a float32 product on
this processor, which has neither bfloat16 nor 8-bit instructions. The rest of the LSTM, the CRF and
the hashing of new tokens would have to be compiled code that passes over memory once; by the
figures here that would come to 8 or 9 times, and need a wheel for each platform. It was not built.
Rows of about the same length are decoded together, so that 21 % of what is decoded is padding
instead of 49 %: 1.13 times the speed by the best of 9 runs in turns, 1.22 by their median, on a
busy machine.

A training step on MEDDOCAN (32 rows) is bound by the same product: oneDNN's LSTM takes 29 % forward
and 42 % backward, AdamW 8 %, the CRF 7 %, clipping 5 %, all else 9 %. If all but the LSTM took no
time, it would be 1.4 times as fast."""


BENCHMARK = Benchmark(name="tagger_speed", title="Annotation speed of the tagger", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    return BENCHMARK.run(options, arguments, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())
