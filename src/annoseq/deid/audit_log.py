"""Audit log of a redaction run: its policy, target and counts, with hashes and without text."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from annoseq._version import __version__
from annoseq.deid.manifest import DocumentStatus
from annoseq.deid.phi_types import PhiType
from annoseq.deid.policy import Policy
from annoseq.deid.redaction import Action
from annoseq.evaluation.coverage import CoverageTarget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from annoseq.deid.redaction_report import RedactionReport
    from annoseq.evaluation.certificate import Certificate
    from annoseq.inference.predictor import Target

_LEAK_COUNTS = ("documents", "documents_without_a_miss", "identifiers", "missed", "characters")


class AuditLog(BaseModel):
    """Record of a run for a privacy board; no text, no name of a document, no path.

    `model` and `annotations` are SHA-256 of the model's weights and of `annotations.jsonl`, which
    holds every redacted text; `annotations` is None if the output was a stream. `documents` are
    counted by status where there is a manifest. `leaks` compare with annotations by people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    annoseq: str
    date: str
    model: str
    policy: Policy
    policy_sha256: str
    settings: dict[str, Any]
    target: dict[str, float | bool] | None
    certificate: str | None
    documents: int
    texts: int
    left_out: int
    statuses: dict[DocumentStatus, int] | None
    replaced: int
    types: dict[PhiType, dict[Action, int]]
    labels: dict[str, dict[Action, int]]
    kept: dict[str, int]
    without_a_rule: dict[str, int]
    guarded_words: int
    leaks: dict[str, int] | None
    annotations: str | None

    def write(self, path: Path) -> None:
        """Write the log as indented JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def make_audit_log(
    report: RedactionReport,
    annotations: Path | None,
    *,
    policy: Policy,
    model: str,
    settings: Mapping[str, Any],
    target: Target | None,
    certificate: Certificate | None,
) -> AuditLog:
    """Make the audit log of a run from its report; `annotations` is the file of redacted texts."""
    values = report.to_dict()
    leaks = values.get("leaks")
    return AuditLog(
        annoseq=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        model=model,
        policy=policy,
        policy_sha256=policy.fingerprint,
        settings=dict(settings),
        target=_describe_target(target),
        certificate=None if certificate is None else certificate.statement,
        documents=report.documents,
        texts=report.texts,
        left_out=report.left_out,
        statuses=None if report.statuses is None else dict(report.statuses),
        replaced=values["replaced"],
        types={phi_type: dict(counts) for phi_type, counts in sorted(report.types().items())},
        labels={label: dict(counts) for label, counts in sorted(report.actions.items())},
        kept=values["kept"],
        without_a_rule=values["without_a_rule"],
        guarded_words=report.guarded_words,
        leaks=leaks and {name: leaks[name] for name in _LEAK_COUNTS},
        annotations=None if annotations is None else _file_sha256(annotations),
    )


def _describe_target(target: Target | None) -> dict[str, float | bool] | None:
    """Return the target of a run, and what is expected of it on rows like those of validation."""
    if target is None:
        return None
    common = {
        "threshold": target.threshold,
        "confidence": target.confidence / 100,
        "is_out_of_reach": target.is_out_of_reach,
    }
    if isinstance(target, CoverageTarget):
        aim = {"target_coverage": target.target_coverage}
        return {
            **({} if target.statement else aim),
            **common,
            "expected_coverage": target.expected.coverage,
            "expected_share_of_clean_documents": target.expected.clean_share,
            "expected_share_of_other_tokens": target.expected.other_share,
        }
    return {
        "target_recall": target.target_recall,
        **common,
        "expected_recall": target.expected.recall,
        "expected_precision": target.expected.precision,
    }


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
