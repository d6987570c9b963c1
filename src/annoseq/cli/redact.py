"""`annoseq redact`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq._version import __version__
from annoseq.cli.folder_options import FolderCommand, FolderOptions
from annoseq.cli.options import (
    Batching,
    Device,
    ModelPath,
    ModelVectorsPath,
    TextsPath,
    Workers,
)
from annoseq.cli.output import print_note
from annoseq.cli.redact_options import RedactionOptions
from annoseq.cli.redact_output import RedactionOutputOptions
from annoseq.cli.redact_run import RedactionRun, report_folder
from annoseq.cli.redact_texts import GoldOptions, TextTableOptions
from annoseq.cli.target_options import (
    BestPath,
    TargetOptions,
    add_default_coverage,
    choose_target,
)
from annoseq.config import BatchConfig, DeviceConfig
from annoseq.deid.audit_log import make_audit_log
from annoseq.deid.pipeline import annotate_function
from annoseq.deid.redaction_target import check_redaction_targets
from annoseq.errors import OptionError, display_name
from annoseq.evaluation.certificate import read_certificate
from annoseq.inference.annotator import Annotator
from annoseq.inference.annotator_pool import make_pool
from annoseq.scale.folder_run import WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.deid.audit_log import AuditLog
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redaction_report import RedactionReport
    from annoseq.deid.redactor import Redactor
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
    workers: Workers = 1,
    folder: FolderOptions = FolderOptions(),
) -> None:
    """Replace what a model finds in texts, and write them de-identified."""
    check_redaction_targets(targets.given(), best_path=best_path, min_score=redaction.min_score)
    gold.check(has_report=not target.is_stream)
    command, inputs = None, (model, texts, *redaction.files(), gold.gold, vectors)
    if folder.is_folder_run(texts, workers=workers):
        target.check_folder(redaction, has_gold=gold.gold is not None)
        command = _open_folder(folder, texts, target, source)
    else:
        target.check(source.layout(texts), redaction, inputs)
    redactor, patterns = redaction.load(has_patients=source.has_patients)
    annotator = _load_annotator(model, redactor, patterns, device=device, vectors=vectors)
    if not (command.is_text if command else source.layout(texts).column is None):
        source = source.inherit_column(annotator.config.columns)
    if not (best_path or redaction.min_score):
        targets = add_default_coverage(targets, annotator)
    chosen = choose_target(annotator, targets)
    weights = annotator.fingerprint
    settings = {"annoseq": __version__, "model": weights[:12], **targets.settings()}
    decisive = {**targets.settings(), **redaction.plan(redactor)}
    plan = {**settings, **decisive, **source.plan(), **gold.plan(), **dict(batching)}
    if command:
        job = source.redact_job(redactor, patterns, batching, chosen, bom=target.bom)
        worker = WorkerSpec(job, command.out, "", device, vectors, source.skip_bad)
        plan |= {**dict(device), "bom": target.bom}
        report_folder(command, command.run(worker, plan, annotator, model=model))
        return
    pool = make_pool(annotator, workers=workers, model=model, device=device, vectors=vectors)
    pipeline = gold.pipeline(annotate_function(annotator, batching, chosen), redactor, patterns)
    run = RedactionRun(
        pipeline.mapped_by(pool, batching, chosen),
        texts,
        source,
        target,
        source.layout(texts),
        {**settings, **redaction.settings(redactor)},
        gold,
        annotator.config.columns,
        _audit_log_function(weights, redactor, decisive, targets, chosen),
        redaction.manifest(target.manifest, weights, decisive, only_new=target.only_new),
    )
    run.start(
        {**plan, **dict(device), **target.plan()}, is_resumable=not redaction.has_forgotten_key
    )


def _open_folder(
    folder: FolderOptions,
    texts: Path,
    target: RedactionOutputOptions,
    source: TextTableOptions,
) -> FolderCommand:
    """Return the run over a folder of parts, when its options are checked."""
    command = FolderCommand.open(
        folder,
        texts,
        target.out,
        format_=source.input_format,
        overwrite=target.overwrite,
        only_new=target.only_new,
        resume=target.resume,
    )
    source.check_table(is_text=command.is_text)
    return command


def _load_annotator(
    model: Path,
    redactor: Redactor,
    patterns: Sequence[CustomPattern],
    *,
    device: DeviceConfig,
    vectors: Path | None,
) -> Annotator:
    """Load a model that annotates, all of whose labels have a PHI type; note gaps of the policy."""
    annotator = Annotator.load(model, device=device, vectors=vectors)
    if annotator.is_translator:
        raise OptionError(
            f"{model}: this model writes texts of its own and marks nothing. Give a model that "
            "annotates."
        )
    redactor.table.check_labels(annotator.predictor.labels)
    note_policy_gaps(redactor, annotator.predictor.labels, patterns)
    return annotator


def note_policy_gaps(
    redactor: Redactor, model_labels: Sequence[str], patterns: Sequence[CustomPattern]
) -> None:
    """Note on standard error which labels no rule covers, and which types have no label."""
    labels = dict.fromkeys([*model_labels, *(pattern.label for pattern in patterns)])
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


def _audit_log_function(
    weights: str,
    redactor: Redactor,
    settings: dict[str, Any],
    targets: TargetOptions,
    chosen: Target | None,
) -> Callable[[RedactionReport, Path | None], AuditLog]:
    """Return the function that makes the audit log of a report and a file of redacted texts."""
    return partial(
        make_audit_log,
        policy=redactor.policy,
        model=weights,
        settings=settings,
        target=chosen,
        certificate=read_certificate(targets.certificate) if targets.certificate else None,
    )
