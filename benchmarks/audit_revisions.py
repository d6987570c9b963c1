"""Real label errors: those that a later release of a corpus corrected, in the list of the audit.

`annoseq audit` reads the earlier release of GUM, in the openly licensed genres (academic writing,
news and interviews). An error is found if the list has the span that was wrong, or suggests the
span that is right. GUM's spans are nested noun phrases of ten types, and a share of what the list
has besides is an error that nobody has corrected yet. Beside it are the gold spans in a random
order.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from annoseq.audit.label_errors import find_label_errors
from annoseq.data.pairs import Pairs
from benchmarks.audit_folds import FOLDS, Audit, examples_of, train_audits
from benchmarks.budget import cache_folder
from benchmarks.command import command_line, exit_status, make_parser, provenance, read_options
from benchmarks.corruption import KINDS
from benchmarks.measure import describe_machine, markdown_table, write_report
from benchmarks.webanno_revisions import compare_releases

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from annoseq.data.markup import Span
    from benchmarks.corruption import Corruption
    from benchmarks.suspect_lists import Rows
    from benchmarks.webanno_revisions import Revision

    Suspect = tuple[int, Span | None, Span | None]
    """Index of a row, the span that is annotated, and the span that is suggested."""

REPORT = Path(__file__).with_suffix(".md")
GENRES = ("academic", "news", "interview")
_EXCLUDED = frozenset(
    {"GUM_academic_eegimaa", "GUM_academic_epistemic", "GUM_academic_replication"}
)
"""Documents whose texts' licences are not among those that GUM names."""
_FIRST, _SHARE = 100, 0.06
_LISTS = ("annoseq audit", "gold spans at random")


def read_revision(options: argparse.Namespace, name: str) -> Revision:
    """Compare the releases of a name such as `V3.0.0:V4.0.0`, which are folders in --data."""
    before, after = (options.data / release for release in name.split(":"))
    names = {path.stem for genre in GENRES for path in before.glob(f"GUM_{genre}_*.tsv")}
    return compare_releases(before, after, names=sorted(names - _EXCLUDED))


def make_audit(options: argparse.Namespace, name: str, revision: Revision) -> Audit:
    """Return the audit of the earlier release."""
    dataset, examples = examples_of(Pairs(revision.pairs[: options.rows], name=name))
    folder = options.results / "gum" / name.replace(":", "-")
    return Audit(dataset, examples, options.epochs, folder)


def make_audits(options: argparse.Namespace) -> list[Audit]:
    """Return the audits of all revisions."""
    return [make_audit(options, name, read_revision(options, name)) for name in options.revisions]


def rank(rows: Rows, index: Mapping[int, int], *, seed: int) -> dict[str, list[Suspect]]:
    """Return the list of the audit, and the gold spans in a random order.

    `index` has the indices of rows by their numbers.
    """
    gold: list[Suspect] = [
        (index[example.row], span, None) for example, _ in rows for span in example.tight_spans
    ]
    random.Random(seed).shuffle(gold)
    listed = [(index[e.example.row], e.gold, e.suggestion) for e in find_label_errors(rows)]
    return dict(zip(_LISTS, (listed, gold), strict=True))


def find_corrected(
    suspects: Sequence[Suspect], corrections: Sequence[Corruption]
) -> tuple[int, set[int]]:
    """Return the number of suspects that were corrected, and the indices of the corrections."""
    wrong: dict[tuple[int, Span | None], int] = {}
    right: dict[tuple[int, Span | None], int] = {}
    for number, correction in enumerate(corrections):
        wrong[correction.row, correction.new] = number
        right[correction.row, correction.old] = number
    found: set[int] = set()
    for row, annotated, suggested in suspects:
        keys = [(wrong, annotated), (right, suggested)]
        found |= {of[row, span] for of, span in keys if span is not None and (row, span) in of}
    return len(found), found


def make_table(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Return the table of the revisions, of the documents that are predicted, and facts."""
    rows, facts = [], {}
    for name in options.revisions:
        revision = read_revision(options, name)
        audit = make_audit(options, name, revision)
        if not audit.folds_finished:
            continue
        predicted = audit.finished_part().predictions()
        index = {example.row: row for row, example in enumerate(audit.examples)}
        places = {index[example.row] for example, _ in predicted}
        corrections = [c for c in revision.corrections if c.row in places]
        spans = sum(len(example.tight_spans) for example, _ in predicted)
        for list_name, suspects in rank(predicted, index, seed=options.seed).items():
            hits, _ = find_corrected(suspects[:_FIRST], corrections)
            budget = round(_SHARE * spans)
            _, found = find_corrected(suspects[:budget], corrections)
            cells = [f"{name}: {list_name}", f"{hits}", str(budget)]
            rows.append([*cells, *_shares(found, corrections)])
        facts[name] = (
            f"{audit.folds_finished} of {FOLDS} folds, {len(predicted):,} sentences with {spans:,} "
            f"spans, {_describe(corrections, revision)}, {audit.epochs} epochs"
        )
    head = ["revision: list", "corrected, of the first 100", "first 6 %", "found there", *KINDS]
    return markdown_table(head, rows), facts


def _shares(found: set[int], corrections: Sequence[Corruption]) -> list[str]:
    """Return the share of all corrections that were found, and of those of each kind."""
    groups = [list(range(len(corrections)))]
    groups += [[n for n, c in enumerate(corrections) if c.kind == kind] for kind in KINDS]
    return [
        f"{len(found & set(group)) / len(group):.0%} of {len(group)}" if group else ""
        for group in groups
    ]


def _describe(corrections: Sequence[Corruption], revision: Revision) -> str:
    kinds = Counter(correction.kind for correction in corrections)
    left_out = ", ".join(f"{count} {name}" for name, count in revision.left_out.items())
    return (
        f"{len(corrections)} of them or of what is missing corrected "
        f"({', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)}: as the error was made); of the "
        f"whole release are left out: {left_out or 'nothing'}"
    )


def main(given: Sequence[str] | None = None) -> int:
    """Audit the earlier releases, and write the report; return the exit status."""
    arguments = command_line(given)
    options = _read(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        if not options.join:
            train_audits(partial(make_audits, options), jobs=options.jobs, minutes=options.minutes)
        if options.only_train:
            return
        table, facts = make_table(options)
        print(table)
        facts |= {**machine, **provenance("audit_revisions", arguments)}
        title, about = "Real label errors found by an audit", __doc__ or ""
        write_report(options.out, title=title, about=about, tables=[table], facts=facts)

    return exit_status(work)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("audit_revisions", __doc__ or "", report=REPORT)
    add = parser.add_argument
    names = ["V3.0.0:V4.0.0", "V6.2.0:V11.1.0"]
    add("--revisions", nargs="+", default=names, help="releases, folders in --data with .tsv files")
    add("--epochs", type=int, default=12, help="epochs of the taggers")
    add("--jobs", type=int, default=1, help="processes that train side by side")
    add("--minutes", type=float, default=10_000.0, help="time after which no audit begins")
    add("--results", type=Path, default=cache_folder("audit"), help="folder of the trainings")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--only-train", action="store_true", help="write no report")
    alone.add_argument("--join", action="store_true", help="only make the report of what is there")
    return read_options(parser, arguments, above_zero=("epochs", "jobs", "minutes"))


if __name__ == "__main__":
    sys.exit(main())
