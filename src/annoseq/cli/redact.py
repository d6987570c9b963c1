"""`annoseq redact`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq._version import __version__
from annoseq.cli.options import (
    Batching,
    Device,
    ModelPath,
    ModelVectorsPath,
    TextsPath,
    inherit_text_column,
)
from annoseq.cli.output import print_note
from annoseq.cli.redact_options import RedactionOptions
from annoseq.cli.redact_output import RedactionOutputOptions
from annoseq.cli.redact_run import RedactionRun
from annoseq.cli.redact_texts import GoldOptions, TextTableOptions
from annoseq.cli.target_options import (
    BestPath,
    TargetOptions,
    add_default_coverage,
    check_targets,
    choose_target,
)
from annoseq.config import BatchConfig, DeviceConfig
from annoseq.deid.audit import make_audit
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.errors import OptionError, display_name
from annoseq.evaluation.certificate import read_certificate
from annoseq.inference.annotator import Annotator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.deid.audit import RedactionAudit
    from annoseq.deid.phi_types import PhiTypeTable
    from annoseq.deid.pipeline import AnnotateFunction
    from annoseq.deid.redaction_report import RedactionReport
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.predictor import Target


def redact(
    model: ModelPath,
    texts: TextsPath,
    /,
    *,
    target: RedactionOutputOptions,
    redaction: RedactionOptions = RedactionOptions(),
    targets: TargetOptions = TargetOptions(),
    best_path: BestPath = False,
    gold: GoldOptions = GoldOptions(),
    source: TextTableOptions = TextTableOptions(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Replace what a model finds in texts, and write them de-identified."""
    layout = source.layout(texts)
    check_targets(targets, best_path=best_path, min_score=redaction.min_score)
    gold.check(has_report=not target.is_stream)
    inputs = (model, texts, *redaction.files(), gold.gold, vectors)
    target.check(layout, redaction, inputs)
    redactor, patterns = redaction.load(has_patients=source.has_patients)
    annotator = _load_annotator(model, redactor.table, device=device, vectors=vectors)
    labels = [*annotator.model.tokenizer.labels, *(pattern.label for pattern in patterns)]
    _note_gaps(redactor, list(dict.fromkeys(labels)))
    if layout.column is not None:
        column = inherit_text_column(source.column, annotator.model.config.columns)
        source = replace(source, column=column)
        layout = source.layout(texts)
    if not (best_path or redaction.min_score):
        targets = add_default_coverage(targets, annotator)
    chosen = choose_target(annotator, targets)
    pipeline = RedactionPipeline(
        _annotate_function(annotator, batching, chosen),
        redactor,
        patterns,
        has_gold=gold.gold is not None,
        counts_words=gold.lost_words > 0,
    )
    weights, columns = annotator.model.fingerprint, annotator.model.config.columns
    run_settings = {"annoseq": __version__, "model": weights[:12], **targets.settings()}
    settings = {**run_settings, **redaction.settings(redactor)}
    decisive = {**targets.settings(), **redaction.plan(redactor)}
    plan = {
        **run_settings,
        **decisive,
        **source.plan(),
        **gold.plan(),
        **target.plan(),
        **{name: value for section in (batching, device) for name, value in section},
    }
    audit = _audit_function(weights, redactor, decisive, targets, chosen)
    manifest = redaction.manifest(target.manifest, weights, decisive, only_new=target.only_new)
    run = RedactionRun(
        pipeline, texts, source, target, layout, settings, gold, columns, audit, manifest
    )
    if target.is_stream:
        run.stream()
    else:
        run.write(plan, is_resumable=not redaction.has_forgotten_key)


def _load_annotator(
    model: Path, table: PhiTypeTable, *, device: DeviceConfig, vectors: Path | None
) -> Annotator:
    """Load a model that annotates, all of whose labels have a PHI type."""
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing. Give a model that "
            "annotates."
        )
    table.check_labels(annotator.model.tokenizer.labels)
    return annotator


def _note_gaps(redactor: Redactor, labels: Sequence[str]) -> None:
    """Note on standard error which labels no rule covers, and which types have no label."""
    policy = redactor.policy
    types = {label: redactor.table.phi_type(label) for label in labels}
    names = [
        display_name(label, kind="label")
        for label, phi_type in types.items()
        if not policy.covers(phi_type)
    ]
    if names:
        print_note(
            f"the policy {policy.name} has no rule for {', '.join(names)}: its default, "
            f"{policy.default.action}, is applied to what they mark"
        )
    if unmarked := policy.unmarked_types(types.values()):
        print_note(
            f"neither the model nor a pattern marks {', '.join(unmarked)}, which the standard "
            f"{policy.standard} lists: if the texts have any, they stay (--patterns)"
        )


def _audit_function(
    weights: str,
    redactor: Redactor,
    settings: dict[str, Any],
    targets: TargetOptions,
    chosen: Target | None,
) -> Callable[[RedactionReport, Path | None], RedactionAudit]:
    """Return the function that makes the audit of a report and a file of redacted texts."""
    return partial(
        make_audit,
        policy=redactor.policy,
        model=weights,
        settings=settings,
        target=chosen,
        certificate=read_certificate(targets.certificate) if targets.certificate else None,
    )


def _annotate_function(
    annotator: Annotator, batching: BatchConfig, target: Target | None
) -> AnnotateFunction:
    def annotate(
        texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        return annotator.annotate(
            texts, batching=batching, target=target, first=first, advance=advance
        )

    return annotate
