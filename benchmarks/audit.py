"""Label errors found by `annoseq audit` in corpora that were corrupted on purpose.

A share of the spans of the training rows is corrupted: a third each is dropped, gets another edge,
or another label. The list of `annoseq audit` is compared with cleanlab's token scores, from the
same out-of-fold probabilities, joined to spans, and with the gold spans in a random order. A second
table has spans that were added as well, a quarter of the corruptions.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import torch

from annoseq.audit.corrections import write_label_errors
from annoseq.audit.label_errors import find_label_errors
from annoseq.data.pairs import read_pairs
from benchmarks.audit_folds import Audit, examples_of, train_audits
from benchmarks.budget import cache_folder
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.corruption import KINDS, Corruptor
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.meddocan import FOLDER
from benchmarks.suspect_lists import found_share, measure_lists

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.corruption import Corruption, Kind
    from benchmarks.suspect_lists import ListMeasure

REPORT = Path(__file__).with_suffix(".md")
EPOCHS = {"asq_phi": 12, "meddocan": 8}
"""Epochs of the taggers, by corpus."""
_VARIANTS: dict[str, tuple[Kind, ...]] = {"three-kinds": KINDS[:3], "four-kinds": KINDS}
AS_IS = "as-is"
"""Variant without corruptions, whose list is to be judged by hand."""


@dataclass(frozen=True, repr=False)
class CorruptedCorpus:
    """Corpus whose training rows are corrupted, with its audit."""

    corpus: str
    seed: int
    variant: str
    audit: Audit
    corruptions: Sequence[Corruption]

    @classmethod
    def of(cls, name: str, options: argparse.Namespace) -> CorruptedCorpus:
        """Corrupt a corpus; `name` is that of the corpus, the seed and the variant."""
        corpus, seed, variant = name.split(":")
        pairs = read_pairs(options.data / corpus / "pairs" / "train.csv")[: options.rows]
        dataset, examples = examples_of(pairs)
        corruptor = Corruptor(examples, seed=int(seed))
        kinds = _VARIANTS.get(variant, ())
        corrupted, done = corruptor.corrupt(share=options.share, kinds=kinds)
        folder = options.results / corpus / f"{seed}-{variant}"
        epochs = options.epochs or EPOCHS[corpus]
        return cls(corpus, int(seed), variant, Audit(dataset, corrupted, epochs, folder), done)

    @property
    def spans(self) -> int:
        """Number of spans, as they are."""
        return sum(len(example.tight_spans) for example in self.audit.examples)

    def measure(self, budget: int) -> dict[str, ListMeasure]:
        """Measure all lists."""
        rows = self.audit.cross_validation().predictions()
        return measure_lists(rows, self.corruptions, budget=budget, seed=self.seed)


def make_audits(options: argparse.Namespace) -> list[Audit]:
    """Return the audits of all corrupted corpora."""
    return [CorruptedCorpus.of(name, options).audit for name in options.audits]


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return a table for each corpus and variant whose audits are finished, and facts."""
    corpora = [CorruptedCorpus.of(name, options) for name in options.audits]
    finished = [corpus for corpus in corpora if corpus.audit.is_finished]
    tables, facts = [], {}
    for variant in _VARIANTS:
        for name in EPOCHS:
            some = [c for c in finished if (c.corpus, c.variant) == (name, variant)]
            if some:
                tables.append(_table(some, share=options.share))
                facts[f"{name}, {variant}"] = _describe(some)
    return tables, facts


def write_lists(options: argparse.Namespace) -> None:
    """Write the lists of the corpora as they are, in the folder of the trainings."""
    for name in options.audits:
        corpus = CorruptedCorpus.of(name, options)
        if corpus.variant == AS_IS and corpus.audit.is_finished:
            errors = find_label_errors(corpus.audit.cross_validation().predictions())
            path = options.results / f"{corpus.corpus}.csv"
            write_label_errors(errors, path, context=60, overwrite=True)


def _table(corpora: Sequence[CorruptedCorpus], *, share: float) -> str:
    """Return the table of a corpus: a row for each seed and list, and the means."""
    kinds = _VARIANTS[corpora[0].variant]
    rows: dict[str, list[list[str]]] = {}
    shares: dict[str, list[float]] = {}
    for corpus in corpora:
        errors = corpus.corruptions
        for name, found in corpus.measure(round(2 * share * corpus.spans)).items():
            shares.setdefault(name, []).append(len(found.found) / len(errors))
            cells = [f"{corpus.corpus}, seed {corpus.seed}: {name}", f"{found.in_first} of 100"]
            cells += [f"{len(found.found) / len(errors):.1%}"]
            cells += [found_share(found, errors, [kind]) for kind in kinds]
            rows.setdefault(name, []).append(cells)
    if len(corpora) > 1:
        for name, found_shares in shares.items():
            cells = [f"{name}, mean", "", f"{mean(found_shares):.1%}", *[""] * len(kinds)]
            rows[name].append(cells)
    head = ["list", "corrupted, of the first 100", f"found in the first {2 * share:.0%}", *kinds]
    return markdown_table(head, [row for listed in rows.values() for row in listed])


def _describe(corpora: Sequence[CorruptedCorpus]) -> str:
    first = corpora[0]
    counts = ", ".join(str(len(corpus.corruptions)) for corpus in corpora)
    seeds = ", ".join(str(corpus.seed) for corpus in corpora)
    return (
        f"{len(first.audit.examples):,} training rows with {first.spans:,} spans, {counts} of them "
        f"corrupted (seeds {seeds}); 5 folds, taggers with a hidden width of 48, "
        f"{first.audit.epochs} epochs"
    )


def main(given: Sequence[str] | None = None) -> int:
    """Corrupt and audit, and write the report; return the exit status."""
    arguments = command_line(given)
    options = _read(arguments)

    def work() -> None:
        facts = describe_machine(torch.device("cpu"))
        if not options.join:
            train_audits(partial(make_audits, options), jobs=options.jobs, minutes=options.minutes)
        if options.only_train:
            return
        write_lists(options)
        tables, found = join(options)
        print("\n\n".join(tables))
        facts = {**found, **facts, **provenance("audit", arguments)}
        title = "Label errors found in corrupted corpora"
        write_report(options.out, title=title, about=__doc__ or "", tables=tables, facts=facts)

    return exit_status(work)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("audit", __doc__ or "", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    names = [f"{c}:{s}:{v}" for v in _VARIANTS for c in EPOCHS for s in (1, 2, 3)]
    names += [f"{corpus}:0:{AS_IS}" for corpus in EPOCHS]
    add("--audits", nargs="+", choices=names, default=names, help="corpora, seeds and variants")
    add("--share", type=float, default=0.03, help="share of spans to corrupt")
    add("--epochs", type=int, help="epochs of the taggers; by default those of the corpus")
    add("--jobs", type=int, default=1, help="processes that train side by side")
    add("--minutes", type=float, default=10_000.0, help="time after which no audit begins")
    add("--results", type=Path, default=cache_folder("audit"), help="folder of the trainings")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only-train", action="store_true", help="write no report")
    alone.add_argument("--join", action="store_true", help="only make the report of what is there")
    return read_options(parser, arguments, above_zero=("share", "epochs", "jobs", "minutes"))


if __name__ == "__main__":
    sys.exit(main())
