"""Scores as JSON, and back: what `--json` writes and `annoseq compare` reads.

The replicates are written as base64 of little-endian 32-bit floats: a thousand numbers of no
interest to a reader, without which two files could not be compared in pairs.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.atomic_io import atomic_file
from annoseq.errors import TableError, describe_validation_error
from annoseq.evaluation.calibration import reliability_bins
from annoseq.evaluation.counts import CountTotals

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.evaluation.counts import Array
    from annoseq.evaluation.scorer import LabelScores, Score, Scorer, SubsetScorer

_DIGITS = 6


class ScoreValue(BaseModel):
    """A score and its interval."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    value: float
    low: float | None = None
    high: float | None = None


class ScoreFile(BaseModel):
    """What a comparison needs of the scores of a table."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rows: int
    documents: int
    gold: str
    scores: dict[str, ScoreValue]
    replicates: dict[str, str]
    bootstrap: dict[str, int]
    signature: str

    def samples(self, name: str) -> Array:
        """Return the replicates of a score (R,)."""
        return np.frombuffer(b64decode(self.replicates[name]), dtype="<f4").astype(np.float64)


def make_score_file(scorer: Scorer, *, gold: str) -> dict[str, Any]:
    """Return the scores as plain values; `gold` is the fingerprint of the rows."""
    part = scorer.all
    scores = part.scores()
    record: dict[str, Any] = {
        "rows": part.rows,
        "documents": part.documents,
        "gold": gold,
        **_part(part, scores),
    }
    if scorer.unseen.rows:
        unseen = scorer.unseen
        record["unseen"] = {
            "rows": unseen.rows,
            "documents": unseen.documents,
            **_part(unseen, unseen.scores()),
        }
    if bins := reliability_bins(CountTotals(part.counts)):
        record["reliability"] = [_rounded(one._asdict()) for one in bins]
    record |= {
        "signature": scorer.signature,
        "counts": dict(sorted(part.counts.items())),
        "bootstrap": {"replicates": scorer.replicates, "seed": scorer.seed},
        "replicates": {
            name: b64encode(score.replicates.astype("<f4").tobytes()).decode()
            for name, score in scores.items()
        },
    }
    return record


def write_score_file(record: dict[str, Any], path: Path, *, overwrite: bool) -> None:
    """Write scores as JSON, whole or not at all."""
    with atomic_file(path, overwrite=overwrite) as new:
        text = json.dumps(record, indent=1, ensure_ascii=False)
        new.write_text(text + "\n", encoding="utf-8")


def read_score_file(path: Path) -> ScoreFile:
    """Read what `--json` wrote.

    Raises:
        TableError: the file cannot be read or is not such a file.
    """
    try:
        return ScoreFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TableError(
            f"{path}: cannot be read: {error.strerror}. Name a file that --json wrote."
        ) from error
    except ValidationError as error:
        raise TableError(
            f"{path}: these are not scores that can be compared ({describe_validation_error(error)}). "
            "Write them with `annoseq score --json` or `annoseq evaluate --json`."
        ) from error


def _part(part: SubsetScorer, scores: dict[str, Score]) -> dict[str, Any]:
    found: dict[str, Any] = {"scores": {name: _score(one) for name, one in scores.items()}}
    if labels := part.label_scores():
        found["labels"] = {label: _label(one) for label, one in labels.items()}
    return found


def _label(one: LabelScores) -> dict[str, Any]:
    scores = {name: _score(getattr(one, name)) for name in ("precision", "recall", "f1")}
    counts = {"gold": one.gold, "predicted": one.predicted}
    others = {"partial_f1": one.partial_f1, "type_f1": one.type_f1}
    return {**counts, **scores, **_rounded(others)}


def _score(score: Score) -> dict[str, float]:
    found = {"value": score.value}
    if score.interval:
        found |= score.interval._asdict()
    return _rounded(found)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in values.items()
    }
