"""Redaction report: counts of replacements by label, action and what found them, and of leaks."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from rich.table import Table as Grid
from rich.text import Text

from annoseq.deid.redaction import Action, DetectionSource
from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import Console

    from annoseq.deid.leak_check import LeakCounts
    from annoseq.deid.manifest import DocumentStatus
    from annoseq.deid.phi_types import PhiType
    from annoseq.deid.redaction import RedactedDocument, RedactionDocument, Replacement

_NAMES, _NAMES_COUNT = "documents_without_any_span", "number_without_any_span"
_NAMES_OF_PART, _NAMES_SHOWN = 20, 1_000
"""Documents without a span that the report of a part, and that of all parts, name."""
_LOWEST_SCORES = 5
"""Number of scores listed for each label, so that people can look at those spans."""


class LabelRule(NamedTuple):
    """PHI type of a label and the action that the policy plans for it, by default or not."""

    phi_type: PhiType
    planned: Action
    is_default: bool


@dataclass
class RedactionReport:
    """Counts over documents. It quotes no text."""

    documents: int = 0
    texts: int = 0
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Replacements by label and detection source."""
    actions: defaultdict[str, Counter[Action]] = field(default_factory=lambda: defaultdict(Counter))
    """Replacements by label and by what was done."""
    rules: dict[str, LabelRule] = field(default_factory=dict)
    """Rules of the labels that were replaced."""
    kept_spans: Counter[str] = field(default_factory=Counter)
    """Spans that the policy keeps, by label."""
    nested_spans: int = 0
    below_min_score: int = 0
    guarded_words: int = 0
    """Number of words that propagation left alone, as medical terms or common words."""
    lowest_scores: defaultdict[str, list[tuple[float, str, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Score, text id, start and end, by label."""
    documents_without_spans: list[str] = field(default_factory=list)
    leaks: LeakCounts | None = None
    statuses: Mapping[DocumentStatus, int] | None = None
    """Number of documents by status, of a run with a manifest."""
    left_out: int = 0
    """Number of rows or files that could not be read or had no gold."""
    scattered_patients: set[str] = field(default_factory=set)
    """Patients whose documents do not follow each other, so that values propagate in part."""

    def watch_patients(self, documents: Iterable[RedactionDocument]) -> Iterator[RedactionDocument]:
        """Pass documents on, and note the patients to whom others lie between."""
        before: set[str] = set()
        last: str | None = None
        for document in documents:
            patient = document.patient
            if patient is not None and patient != last and patient in before:
                self.scattered_patients.add(patient)
            if patient is not None:
                before.add(patient)
            last = patient
            yield document

    def add(self, document: RedactedDocument) -> None:
        """Count a document. Offsets are those of the original texts."""
        self.documents += 1
        self.texts += len(document.texts)
        if not any(text.replacements or text.kept_spans for text in document.texts):
            self.documents_without_spans.append(document.id)
        for text in document.texts:
            self.nested_spans += text.nested_spans
            self.below_min_score += text.low_scores
            self.guarded_words += text.guarded_words
            self.kept_spans.update(text.kept_spans)
            for replacement in text.replacements:
                self._add_replacement(text.id, replacement)
        for label, scores in self.lowest_scores.items():
            self.lowest_scores[label] = heapq.nsmallest(_LOWEST_SCORES, scores)
        if self.leaks is not None and document.leaks is not None:
            self.leaks.add(document.id, document.leaks)

    def _add_replacement(self, text_id: str, replacement: Replacement) -> None:
        span = replacement.span
        self.counts[span.label][span.source] += 1
        self.actions[span.label][replacement.action] += 1
        self.rules[span.label] = LabelRule(
            replacement.phi_type, replacement.planned, replacement.is_default
        )
        if span.score is not None:
            self.lowest_scores[span.label].append((span.score, text_id, span.start, span.end))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        values: dict[str, Any] = {
            "documents": self.documents,
            "texts": self.texts,
            "replaced": sum(counts.total() for counts in self.counts.values()),
            "within_others": self.nested_spans,
            "below_min_score": self.below_min_score,
            "guarded_words": self.guarded_words,
            "actions": self._action_totals(),
            "labels": {label: self._label_values(label) for label in sorted(self.counts)},
            "kept": dict(sorted(self.kept_spans.items())),
            "without_a_rule": {
                label: self.counts[label].total()
                for label, rule in sorted(self.rules.items())
                if rule.is_default
            },
            _NAMES: self.documents_without_spans,
        }
        if self.scattered_patients:
            values["scattered_patients"] = len(self.scattered_patients)
        if self.statuses is not None:
            values["statuses"] = dict(self.statuses)
        if self.left_out:
            values["left_out"] = self.left_out
        if self.leaks is not None:
            values["leaks"] = self.leaks.to_dict()
        return values

    def types(self) -> dict[PhiType, Counter[Action]]:
        """Return the replacements by PHI type and by what was done."""
        types: defaultdict[PhiType, Counter[Action]] = defaultdict(Counter)
        for label, rule in self.rules.items():
            types[rule.phi_type].update(self.actions[label])
        return dict(types)

    def _action_totals(self) -> dict[str, int]:
        totals = Counter[Action]()
        for counts in self.actions.values():
            totals.update(counts)
        return {action: totals[action] for action in get_args(Action) if totals[action]}

    def _label_values(self, label: str) -> dict[str, Any]:
        counts, rule = self.counts[label], self.rules[label]
        return {
            "type": rule.phi_type,
            "action": rule.planned,
            "replaced": counts.total(),
            **{source: counts[source] for source in get_args(DetectionSource)},
            "fallback": counts.total() - self.actions[label][rule.planned],
            "lowest_scores": [
                {"score": round(score, 6), "text": text, "start": start, "end": end}
                for score, text, start, end in self.lowest_scores.get(label, ())
            ],
        }


def shorten_report(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a part with some of its documents without a span, and their number."""
    names = values[_NAMES]
    return {**values, _NAMES: names[:_NAMES_OF_PART], _NAMES_COUNT: len(names)}


def merge_reports(reports: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Add up the short reports of parts, given with the names of the parts."""
    merged = shorten_report(RedactionReport().to_dict())
    for part, values in reports:
        _merge(merged, values, part)
    merged["labels"] = dict(sorted(merged["labels"].items()))
    return merged


def _merge(total: dict[str, Any], values: Mapping[str, Any], part: str) -> None:
    """Add numbers; of names and scores, keep the first and the lowest, with their part."""
    for name, value in values.items():
        if name == "lowest_scores":
            scores = total.get(name, []) + [{**score, "part": part} for score in value]
            total[name] = heapq.nsmallest(_LOWEST_SCORES, scores, key=lambda one: one["score"])
        elif name == _NAMES:
            total[name] = (total.get(name, []) + [f"{part}: {one}" for one in value])[:_NAMES_SHOWN]
        elif isinstance(value, dict):
            _merge(total.setdefault(name, {}), value, part)
        elif isinstance(value, int):
            total[name] = total.get(name, 0) + value
        else:
            total.setdefault(name, value)


def print_report(values: Mapping[str, Any], console: Console) -> None:
    """Print the values of a report as a table of labels, with a summary below it."""
    columns = ["replaced", *get_args(DetectionSource), "fallback"]
    grid = Grid(box=None, pad_edge=False, header_style="")
    grid.add_column("label", overflow="fold")
    grid.add_column("action")
    for name in (*columns, "lowest score"):
        grid.add_column(name.replace("_", " "), justify="right")
    for label, row in values["labels"].items():
        scores = row["lowest_scores"]
        lowest = f"{scores[0]['score']:.4f}" if scores else ""
        grid.add_row(Text(label), row["action"], *(f"{row[name]:,}" for name in columns), lowest)
    console.print(grid)
    console.print(Text("\n".join(["", *_summary(values)])), soft_wrap=True)


def _summary(values: Mapping[str, Any]) -> list[str]:
    without_spans = values.get(_NAMES_COUNT, len(values[_NAMES]))
    lines = [
        f"replaced {count_noun(values['replaced'], 'span')} in "
        f"{count_noun(values['documents'], 'document')}"
    ]
    if statuses := values.get("statuses"):
        counts = (f"{count:,} {status}" for status, count in statuses.items())
        lines.append(f"by the manifest: {', '.join(counts)}")
    if kept := sum(values["kept"].values()):
        lines.append(f"kept by the policy: {count_noun(kept, 'span')}")
    if without := values["without_a_rule"]:
        lines.append(
            f"without a rule of the policy, so that its default was applied: "
            f"{count_noun(sum(without.values()), 'span')} of {count_noun(len(without), 'label')}"
        )
    if values["guarded_words"]:
        words = count_noun(values["guarded_words"], "word")
        lines.append(f"left by propagation as medical or common: {words}")
    if scattered := values.get("scattered_patients"):
        lines.append(
            f"{count_noun(scattered, 'patient')} with documents of others in between: what is "
            "found before them is not replaced after them. Sort the input by patient."
        )
    if values["below_min_score"]:
        lines.append(f"left as below --min-score: {count_noun(values['below_min_score'], 'span')}")
    if without_spans:
        lines.append(
            f"look at {count_noun(without_spans, 'document')} without any span, which report.json "
            f"names{'' if without_spans == len(values[_NAMES]) else ' in part'}"
        )
    if leaks := values.get("leaks"):
        share, recall = leaks["share_without_a_miss"], leaks["character_recall"]
        lines.append(
            f"against the gold: {_percent(share)} of {count_noun(leaks['documents'], 'document')} "
            f"without a missed identifier, {leaks['missed']:,} of "
            f"{count_noun(leaks['identifiers'], 'identifier')} missed, {_percent(recall)} of their "
            "characters replaced"
        )
        lines.append(
            f"over-redaction: {_percent(leaks['over_redaction'], digits=2)} of "
            f"{count_noun(leaks['other_tokens'], 'other token')} replaced"
        )
    return lines


def _percent(share: float | None, *, digits: int = 1) -> str:
    return "none" if share is None else f"{100 * share:.{digits}f} %"
