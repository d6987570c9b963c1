"""Any sequence of actions, undoing, redoing and kills leads to the state of a naive model."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from annoseq.data.markup import Span, parse, render
from annoseq.deid.propagation import tokenize
from annoseq.errors import ReviewError
from annoseq.review import actions
from tests.review.projects import make_project, prediction, reopened

TEXTS = (
    "Ana saw Bo\r\n and Ana.",
    "👩‍⚕️ Ana e\u0301 Bo Ana",
    "עדה Ana\t Bo  Ana Bo",
)
FOUND = (
    (Span(0, 3, "N", 0.9), Span(8, 10, "N", 0.5)),
    (Span(5, 8, "N", 0.9),),
    (Span(0, 3, "N", 0.2), Span(4, 7, "C", 0.9), Span(0, 10, "P", 0.3)),
)
LABELS = ("N", "C")
REVIEWERS = ("ada", "bo")
scopes = st.sampled_from(["document", "project"])
documents, reviewers = st.sampled_from([1, 2, 3]), st.sampled_from(REVIEWERS)


@dataclass
class NaiveDocument:
    """Spans by id as [start, end, label, decision], and what was said of the document."""

    length: int
    spans: dict[str, list[Any]]
    is_touched: bool = False
    is_done: bool = False
    is_skipped: bool = False
    note: str = ""

    def accept(self, id_: str, start: int, end: int, label: str) -> bool:
        if not start < end <= self.length:
            return False
        for other, (a, b, other_label, decision) in self.spans.items():
            if decision != "accepted" or other == id_:
                continue
            if (a, b, other_label) == (start, end, label):
                return False
            shared = set(range(a, b)) & set(range(start, end))
            if shared and shared not in (set(range(a, b)), set(range(start, end))):
                return False
        self.spans[id_] = [start, end, label, "accepted"]
        return True

    def apply(self, action: Any, step: int) -> bool:
        """Carry an action out, unless it is refused."""
        done = self._apply(action, step)
        if done:
            self.is_touched = action.type != "start_again"
            if action.type not in {"note", "skip"}:
                self.is_skipped = False
        return done

    def _apply(self, action: Any, step: int) -> bool:
        kind, spans = action.type, self.spans
        if hasattr(action, "span"):
            return action.span in spans and self._decide(kind, action)
        if kind == "note":
            self.note = action.text
        elif kind == "skip":
            self.is_skipped, self.is_done = True, False
        elif kind == "done":
            return self._finish(reject_open=action.reject_open)
        elif kind == "add":
            edges = self._edges(action)
            same = [i for i, s in spans.items() if (*s[:3],) == edges and s[3] != "accepted"]
            return self.accept(same[0] if same else f"r{step}", *edges)
        elif kind == "accept_all":
            for id_ in sorted(self._undecided(), key=lambda i: (*_opening(spans[i]), i)):
                self.accept(id_, *spans[id_][:3])
        else:
            self._mark(action, step)
        return True

    def _undecided(self) -> list[str]:
        return [id_ for id_, span in self.spans.items() if span[3] == "undecided"]

    def _finish(self, *, reject_open: bool) -> bool:
        undecided = self._undecided()
        if undecided and not reject_open:
            return False
        for id_ in undecided:
            self.spans[id_][3] = "rejected"
        self.is_done = True
        return True

    def _mark(self, action: Any, step: int) -> None:
        for number, (start, end) in enumerate(action.ranges, 1):
            same = [id_ for id_ in self._undecided() if self.spans[id_][:2] == [start, end]]
            same.sort(key=lambda id_: self.spans[id_][2] != action.label)
            self.accept(same[0] if same else f"r{step}-{number}", start, end, action.label)

    @staticmethod
    def _edges(action: Any) -> tuple[int, int, str]:
        return action.start, action.end, action.label

    def _decide(self, kind: str, action: Any) -> bool:
        start, end, label, _ = self.spans[action.span]
        match kind:
            case "accept":
                return self.accept(action.span, start, end, label)
            case "relabel":
                return self.accept(action.span, start, end, action.label)
            case "resize":
                return self.accept(action.span, action.start, action.end, label)
            case "reject":
                self.spans[action.span][3] = "rejected"
            case "reopen":
                self.spans[action.span][3] = "undecided"
                self.is_done = False
            case _:
                if not action.span.startswith("r"):
                    return False
                del self.spans[action.span]
        return True

    @property
    def state(self) -> str:
        if self.is_skipped:
            return "skipped"
        if self.is_done and all(span[3] != "undecided" for span in self.spans.values()):
            return "done"
        return "started" if self.is_touched else "untouched"


def _opening(span: list[Any]) -> tuple[Any, ...]:
    start, end, label, _ = span
    return start, -end, label


@dataclass
class NaiveReviewer:
    """Steps by number, each with its documents; those that are undone, by document, last first."""

    steps: dict[int, dict[int, Any]] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    undone: dict[int, list[int]] = field(default_factory=lambda: {1: [], 2: [], 3: []})

    def document(self, id_: int) -> NaiveDocument:
        """Carry out all steps of a document that are not undone, from the beginning."""
        begun = {
            f"m{n}": [s.start, s.end, s.label, "undecided"] for n, s in enumerate(FOUND[id_ - 1], 1)
        }
        document = NaiveDocument(len(TEXTS[id_ - 1]), begun)
        for step in sorted(self.steps):
            action = self.steps[step].get(id_)
            if step in self.dead or action is None:
                continue
            if action.type == "start_again":
                document = NaiveDocument(
                    document.length,
                    {
                        f"m{n}": [s.start, s.end, s.label, "undecided"]
                        for n, s in enumerate(FOUND[id_ - 1], 1)
                    },
                    note=document.note,
                )
                continue
            document.apply(action, step)
        return document

    def live(self, id_: int) -> list[int]:
        return [s for s in sorted(self.steps) if id_ in self.steps[s] and s not in self.dead]


class ReviewMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        found = [prediction(*spans) for spans in FOUND]
        self.project = make_project(Path(self.folder.name) / "review.db", TEXTS, found)
        self.naive = {name: NaiveReviewer() for name in REVIEWERS}
        self.entries = 0

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project.store.close()
            self.folder.cleanup()

    def act(self, name: str, id_: int, action: Any) -> None:
        step = self.entries + 1
        is_possible = action.type == "start_again" or self.naive[name].document(id_).apply(
            action, step
        )
        revision = self.project.history(name, id_).revision
        try:
            self.project.act(name, id_, action, revision=revision)
        except ReviewError:
            assert not is_possible
            return
        assert is_possible
        self.note_step(name, step, {id_: action})

    def note_step(self, name: str, step: int, documents: dict[int, Any]) -> None:
        if documents:
            self.naive[name].steps[step] = documents
            self.entries += len(documents)
            for id_ in documents:
                self.naive[name].undone[id_].clear()

    @rule(name=reviewers, id_=documents, data=st.data())
    def decide(self, name: str, id_: int, data: st.DataObject) -> None:
        spans = sorted(self.naive[name].document(id_).spans)
        span = data.draw(st.sampled_from([*spans, "m9"]))
        label = data.draw(st.sampled_from(LABELS))
        place = st.integers(0, len(TEXTS[id_ - 1]) + 1)
        start, end = data.draw(place), data.draw(place)
        kinds: list[Any] = [
            actions.Accept(span=span),
            actions.Reject(span=span),
            actions.Reopen(span=span),
            actions.Remove(span=span),
            actions.Relabel(span=span, label=label),
            actions.Resize(span=span, start=start, end=end),
            actions.Add(start=start, end=end, label=label),
        ]
        self.act(name, id_, data.draw(st.sampled_from(kinds)))

    @rule(
        name=reviewers,
        id_=documents,
        action=st.sampled_from(
            [
                actions.AcceptAll(),
                actions.Done(),
                actions.Done(reject_open=True),
                actions.Skip(),
                actions.StartAgain(),
                actions.Note(text="n"),
            ]
        ),
    )
    def say(self, name: str, id_: int, action: Any) -> None:
        self.act(name, id_, action)

    @rule(
        name=reviewers,
        id_=documents,
        scope=st.sampled_from(["document", "project"]),
        data=st.data(),
    )
    def apply_everywhere(self, name: str, id_: int, scope: Any, data: st.DataObject) -> None:
        naive, step = self.naive[name], self.entries + 1
        spans = naive.document(id_).spans
        span = data.draw(st.sampled_from(sorted(spans)))
        start, end, label, _ = spans[span]
        tokens = [token.text for token in tokenize(TEXTS[id_ - 1][start:end])]
        expected = {}
        for other in [id_] if scope == "document" else [1, 2, 3]:
            document = naive.document(other)
            places = sorted(
                {*occurrences(TEXTS[other - 1], tokens), *([(start, end)] if other == id_ else [])}
            )
            places = [place for place in places if is_open(document, place, label)]
            if places and not document.is_skipped and tokens:
                expected[other] = actions.Mark(label=label, ranges=tuple(places))
        action = actions.ApplyEverywhere(span=span, scope=scope)
        revision = self.project.history(name, id_).revision
        try:
            changed = self.project.act(name, id_, action, revision=revision)
        except ReviewError:
            assert not tokens
            return
        assert changed == len(expected)
        self.note_step(name, step, expected)

    @rule(name=reviewers, id_=documents)
    def undo(self, name: str, id_: int) -> None:
        naive, revision = self.naive[name], self.project.history(name, id_).revision
        live = naive.live(id_)
        try:
            self.project.undo(name, id_, revision=revision)
        except ReviewError:
            assert not live
            return
        naive.dead.add(live[-1])
        for other in naive.steps[live[-1]]:
            naive.undone[other].append(live[-1])
            self.entries += 1

    @rule(name=reviewers, id_=documents)
    def redo(self, name: str, id_: int) -> None:
        naive, revision = self.naive[name], self.project.history(name, id_).revision
        undone = naive.undone[id_]
        try:
            self.project.redo(name, id_, revision=revision)
        except ReviewError:
            assert not undone
            return
        step = undone[-1]
        naive.dead.remove(step)
        for other in naive.steps[step]:
            if step in naive.undone[other]:
                naive.undone[other].remove(step)
            self.entries += 1

    @rule()
    def kill(self) -> None:
        """Open the file again, while the connection of the killed process was never closed."""
        killed, self.project = self.project, reopened(self.project)
        killed.store.close()

    @invariant()
    def is_as_in_the_naive_model(self) -> None:
        for name, naive in self.naive.items():
            for id_ in (1, 2, 3):
                expected, history = naive.document(id_), self.project.history(name, id_)
                found = {
                    span.id: [span.start, span.end, span.label, span.decision]
                    for span in history.state.spans.values()
                }
                assert found == expected.spans
                assert (history.state.state, history.state.note) == (expected.state, expected.note)
                live = naive.live(id_)
                assert history.undoable == (live[-1] if live else None)
                assert history.redoable == (naive.undone[id_][-1] if naive.undone[id_] else None)

    @invariant()
    def what_is_accepted_can_be_written(self) -> None:
        for name in REVIEWERS:
            for id_, text in enumerate(TEXTS, 1):
                accepted = self.project.state(name, id_).accepted
                written, spans = parse(render(text, accepted))
                assert written == text
                assert set(spans) == set(accepted)
                is_settled = self.project.settled(id_) is not None
                states = {self.project.state(each, id_).state for each in REVIEWERS}
                assert is_settled <= ("done" in states)


def occurrences(text: str, wanted: list[str]) -> list[tuple[int, int]]:
    tokens = list(tokenize(text))
    return [
        (tokens[first].start, tokens[first + len(wanted) - 1].end)
        for first in range(len(tokens) - len(wanted) + 1)
        if wanted and [token.text for token in tokens[first : first + len(wanted)]] == wanted
    ]


def is_open(document: NaiveDocument, place: tuple[int, int], label: str) -> bool:
    here = set(range(*place))
    for start, end, other, decision in document.spans.values():
        shared = here & set(range(start, end))
        is_nested = shared in (here, set(range(start, end)))
        if decision == "accepted" and ((start, end) == place or (shared and not is_nested)):
            return False
        if decision == "rejected" and (start, end) == place and other == label:
            return False
    return True


TestReview = ReviewMachine.TestCase
TestReview.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
