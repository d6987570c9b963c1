"""Coverage in `annoseq evaluate`: of what a model marks, or of what redaction makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from annoseq.deid.custom_patterns import CustomPattern, compile_patterns, load_patterns
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.policy import POLICIES, Policy
from annoseq.deid.redaction_coverage import GRID, ScoredRow, measure_redaction
from annoseq.deid.redactor import Redactor
from annoseq.errors import OptionError
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.coverage_counter import count_coverage, find_missed
from annoseq.evaluation.coverage_scores import coverage_lines, make_coverage_scores
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.inference.annotation import extend_coverage
from annoseq.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.config import BatchConfig
    from annoseq.data.examples import Example
    from annoseq.evaluation.coverage_counter import MissedIdentifier
    from annoseq.evaluation.score_file import ScoreFile
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target


class MeasuredRedaction(NamedTuple):
    """The redactor whose coverage is measured, and the patterns that it looks for."""

    redactor: Redactor
    patterns: list[CustomPattern]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageOptions:
    """Options of the coverage that is measured."""

    propagate: Annotated[
        bool,
        Parameter(
            help="Measure the coverage of what `annoseq redact` replaces: what is found once in a "
            "document is covered everywhere in it, or with --patient or --patient-from in all "
            "consecutive documents of the patient.",
            negative="",
        ),
    ] = False
    phi_types: Annotated[
        Path | None,
        Parameter(help="TOML file: which type of PHI each label stands for, with --propagate."),
    ] = None

    policy: Annotated[
        str | None,
        Parameter(
            help=f"With --propagate: what is replaced, by a policy of redaction "
            f"({', '.join(POLICIES)}, or a TOML file), and what its patterns find."
        ),
    ] = None
    patterns: Annotated[
        Path | None,
        Parameter(help="TOML file of regular expressions to look for as well, with --propagate."),
    ] = None

    def redaction(self, annotator: Annotator) -> MeasuredRedaction | None:
        """Return the redaction whose coverage is measured, if that is asked for.

        Raises:
            OptionError: the model knows no probabilities of spans, a label has no PHI type, or a
                file cannot be read or is not needed.
        """
        if not self.propagate:
            self._refuse_options_of_redaction()
            return None
        if not annotator.predictor.gives_marginals:
            raise OptionError(
                "--propagate measures coverage at all thresholds, and this model knows no "
                "probabilities of tokens. Leave it off, or train a model with --model tagger."
            )
        policy = Policy.uniform("mask") if self.policy is None else Policy.load(self.policy)
        patterns = compile_patterns(policy.patterns)
        patterns += load_patterns(self.patterns) if self.patterns else []
        table = PhiTypeTable.load(self.phi_types)
        table = replace(table, has_unknown=self.policy is not None)
        table.check_labels([*annotator.predictor.labels, *(one.label for one in patterns)])
        return MeasuredRedaction(Redactor(table, policy), patterns)

    def _refuse_options_of_redaction(self) -> None:
        given = {
            "--phi-types says what redaction propagates": self.phi_types,
            "--policy says what redaction replaces": self.policy,
            "--patterns says what redaction finds": self.patterns,
        }
        for problem, value in given.items():
            if value is not None:
                raise OptionError(f"{problem}. Give --propagate too, or leave it off.")


def annotate_rows(
    annotator: Annotator,
    examples: Sequence[Example],
    batching: BatchConfig,
    target: Target | None,
) -> tuple[Sequence[Annotation], list[ScoredRow]]:
    """Annotate by choosing among tags only, where the model does not translate.

    The rows with their coverage scores are returned, too, if the model knows the probability of
    every span.
    """
    if annotator.is_translator:
        return (), []
    texts = [example.source for example in examples]
    if not annotator.predictor.gives_marginals:
        return annotator.annotate(texts, batching=batching, target=target), []
    with progress_bar("annotating", total=len(texts)) as advance:
        scored = annotator.annotate_with_coverage(texts, batching=batching, advance=advance)
    rows = [
        ScoredRow(example, annotation.spans or (), parts)
        for example, (annotation, parts) in zip(examples, scored, strict=True)
    ]
    if isinstance(target, RecallTarget):  # its candidates are another query than the coverage
        return annotator.annotate(texts, batching=batching, target=target), rows
    if isinstance(target, CoverageTarget):
        return [extend_coverage(annotation, parts, target) for annotation, parts in scored], rows
    return [annotation for annotation, _ in scored], rows


def add_coverage(
    scores: ScoreFile,
    rows: Sequence[ScoredRow],
    target: Target | None,
    redaction: MeasuredRedaction | None,
) -> tuple[ScoreFile, list[str]]:
    """Add the coverage of the rows, of which there are some, and return the lines to print."""
    if not rows:
        return scores, []
    chosen = target if isinstance(target, CoverageTarget) else None
    threshold = 1.0 if chosen is None else chosen.threshold
    if redaction is None:
        examples, _, parts = zip(*rows, strict=True)
        counts = count_coverage(examples, parts)
        coverage = make_coverage_scores(counts, chosen, missed=_missed(rows, threshold))
        lines = list(coverage_lines(counts, coverage))
    else:
        with progress_bar("redacting", total=len(rows)) as advance:
            measured = measure_redaction(
                rows,
                redaction.redactor,
                patterns=redaction.patterns,
                thresholds=(*GRID, threshold),
                missed_at=threshold,
                advance=advance,
            )
        coverage = make_coverage_scores(
            measured, chosen, missed=measured.missed, is_propagated=True
        )
        lines = list(coverage_lines(measured, coverage))
    return scores.model_copy(update={"coverage": coverage}), lines


def _missed(rows: Sequence[ScoredRow], threshold: float) -> Iterator[MissedIdentifier]:
    """Yield the identifiers that a model does not cover at a threshold."""
    for example, _, parts in rows:
        yield from find_missed(
            example.row, example.source, example.tight_spans, parts, threshold=threshold
        )
