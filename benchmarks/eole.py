"""Comparison with eole 0.6, the successor of OpenNMT-py, on the same rows in the same time.

eole runs in a virtual environment of its own (`benchmarks/eole_peer.py`). Both systems train
on MEDDOCAN's training rows, on one core, for so many minutes of processor time, and then decode
the same dev lines (`benchmarks/eole_systems.py`). eole gets annoseq's word tokens: the space before
a token is part of it, and a tag is one token.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.data.pairs import Pairs
from benchmarks import eole_peer
from benchmarks.budget import cache_folder, log, pinned_to_core
from benchmarks.command import exit_status, make_parser, provenance, read_options
from benchmarks.eole_data import select_short
from benchmarks.eole_systems import FIGURES, run_eole, run_ours
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import read_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.eole_systems import Result

REPORT = Path(__file__).with_suffix(".md")
WATCHED = 64
"""Dev rows that annoseq validates on after each epoch; the time counts as training."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        "eole", "Train annoseq and eole for equal processor time, and compare.", report=REPORT
    )
    add = parser.add_argument
    add("--minutes", type=float, default=9.5, help="of processor time for each system's training")
    add("--lines", type=int, default=200, help="first dev rows of 1 to --max-tokens tokens")
    add("--max-tokens", type=int, default=100, help="leave out dev rows with a longer source")
    add("--train-tokens", type=int, default=100, help="leave out longer training rows")
    environment = cache_folder("eole-0.6.0")
    add("--environment", type=Path, default=environment, help="eole's, made if missing")
    add("--reuse", type=Path, help="folder to keep eole's model in, and to take it from")
    add("--only", choices=["eole", "annoseq"], help="run one system, and write no report")
    add("--learning-rate", type=float, default=2e-3, help="eole's highest rate")
    add("--batch-tokens", type=int, default=512, help="most tokens in a batch of eole's")
    numbers = ("minutes", "lines", "max_tokens", "train_tokens", "learning_rate", "batch_tokens")
    return read_options(parser, arguments, above_zero=numbers)


ABOUT = """\
Both systems train on MEDDOCAN's training rows for the same processor time, on one core, and decode
the same dev lines greedily in batches of 64. eole ({eole}, torch 2.13) trains a bidirectional LSTM
of 2 layers and width 256 with attention over annoseq's word tokens. Its vocabulary has all words of
the training rows; unknown words in its output are replaced by the source's words (`replace_unk`).
Tokens/s and lines/s are per second of processor time. For both systems a token is a word, and the
end symbol counts. Not counted are loading, the building of vocabularies, and the short run before
each training that determines the number of steps."""


def main(given: Sequence[str] | None = None) -> int:
    """Run both systems, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        results, facts = _run(options)
        table = _table(results)
        print(table)
        if options.only is None and not options.reuse:
            write_report(
                options.out,
                title="Comparison with eole",
                about=ABOUT.format(eole=eole_peer.EOLE.replace("==", " ")),
                tables=[table],
                facts=facts | machine | provenance("eole", arguments),
            )

    return exit_status(work, error=eole_peer.PeerError)


def _table(results: dict[str, Result]) -> str:
    columns = [result.cells() for result in results.values()]
    rows = [[name, *cells] for name, *cells in zip(FIGURES, *columns, strict=True)]
    return markdown_table(["figure", *results], rows)


def _run(options: argparse.Namespace) -> tuple[dict[str, Result], dict[str, str]]:
    train, dev = read_tables(options.data, first=options.rows)
    train = select_short(train, max_tokens=options.train_tokens, first=len(train))
    lines = select_short(dev, max_tokens=options.max_tokens, first=options.lines)
    watched = Pairs(list(dev)[-WATCHED:], name=dev.name)
    seconds = options.minutes * 60
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as name:
        if options.only != "annoseq":
            python = eole_peer.install(options.environment)
            results["eole"] = run_eole(
                python,
                train,
                lines,
                options.reuse or Path(name) / "eole",
                seconds=seconds,
                core=options.core,
                seed=options.seed,
                learning_rate=options.learning_rate,
                batch=options.batch_tokens,
            )
            log(_table(results))
        if options.only != "eole":
            with pinned_to_core(options.core):
                results |= run_ours(
                    train, watched, lines, Path(name) / "ours", seconds=seconds, seed=options.seed
                )
    facts = {
        "train rows": f"{len(train):,} with 1 to {options.train_tokens} word tokens (SHA-256 of "
        f"these: {train.fingerprint()[:12]})",
        "dev lines": f"the first {len(lines):,} of {len(dev):,} rows with 1 to "
        f"{options.max_tokens} word tokens (SHA-256 of all: {dev.fingerprint()[:12]})",
        "training": "; ".join(f"{system}: {one.trained.story}" for system, one in results.items()),
        "seed": str(options.seed),
    }
    return results, facts


if __name__ == "__main__":
    sys.exit(main())
