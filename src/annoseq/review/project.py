"""Review project: documents, and the decisions of each reviewer, which follow from the log.

Everything is kept in memory beside the file, so that a project is open in one process at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from operator import itemgetter
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.propagation import tokenize
from annoseq.errors import ReviewError, StaleRevisionError
from annoseq.review.actions import Add, ApplyEverywhere, Mark, RedoStep, UndoStep
from annoseq.review.decisions import ReviewState, places_to_mark
from annoseq.review.history import DocumentHistory, begin_review
from annoseq.review.occurrences import StringOccurrences
from annoseq.review.project_records import Adjudication, LogEntry, now

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from annoseq.data.markup import Span
    from annoseq.review.actions import Decision, LoggedAction
    from annoseq.review.decisions import DocumentState
    from annoseq.review.project_records import DocumentPrediction, ModelRecord, ReviewDocument
    from annoseq.review.project_store import ProjectStore

MAX_REVIEWER = 60
"""Characters of a reviewer's name."""


class Settled(NamedTuple):
    """Final spans of a document, those who decided on them, and the time of the last decision."""

    spans: tuple[Span, ...]
    reviewers: tuple[str, ...]
    at: str
    is_adjudicated: bool = False


class ReviewProject:
    """An open project; its methods may be called from several threads."""

    def __init__(self, store: ProjectStore) -> None:
        self.store = store
        self.documents: Mapping[int, ReviewDocument] = {
            document.id: document for document in store.documents()
        }
        self.is_audit = bool(store.meta("is_audit"))
        self.title = str(store.meta("title"))
        self.lock = RLock()
        self._predictions: dict[int, dict[int, DocumentPrediction]] = {}
        self._histories: defaultdict[int, dict[str, DocumentHistory]] = defaultdict(dict)
        self._untouched: dict[int, ReviewState] = {}
        self.models: list[ModelRecord] = store.models()
        self.adjudications = store.adjudications()
        for entry in store.log():
            self._replay(entry)
        self.changes = 0
        """Number of changes since the project was opened, by which a cache knows its age."""

    @cached_property
    def first_labels(self) -> list[str]:
        """Labels that the project began with, the most frequent first; an order that stays."""
        counts = Counter(dict.fromkeys(map(str, self.store.meta("labels")), 0))
        for document in self.documents.values():
            counts.update(span.label for span in document.gold or ())
        for each in self.predictions(1).values():
            counts.update(span.label for span in each.spans)
        return sorted(counts, key=lambda label: (-counts[label], label))

    @property
    def reviewers(self) -> list[str]:
        """Names of those who have done anything, in order."""
        return sorted(
            {reviewer for histories in self._histories.values() for reviewer in histories}
        )

    @property
    def model(self) -> int:
        """Number of the model in use."""
        return self.models[-1].number

    def document(self, id_: int) -> ReviewDocument:
        """Return a document.

        Raises:
            ReviewError: there is none of this number.
        """
        if id_ not in self.documents:
            raise ReviewError(f"the project has no document {id_}. Load the queue again.")
        return self.documents[id_]

    def prediction(self, id_: int, *, model: int | None = None) -> DocumentPrediction:
        """Return the prediction of a model, by default of the one in use, for a document.

        A model that did not predict a document has the prediction of the one before.
        """
        number = model or self.model
        while number > 1 and id_ not in self.predictions(number):
            number -= 1
        return self.predictions(number)[id_]

    def predictions(self, model: int) -> dict[int, DocumentPrediction]:
        """Return the predictions of a model by document."""
        if model not in self._predictions:
            self._predictions[model] = self.store.predictions(model)
        return self._predictions[model]

    def state(self, reviewer: str, id_: int) -> ReviewState:
        """Return the decisions of a reviewer on a document."""
        if (history := self._histories[id_].get(reviewer)) is not None:
            return history.state
        if id_ not in self._untouched:
            self._untouched[id_] = self._begin(id_, self.model)
        return self._untouched[id_]

    def document_state(self, reviewer: str, id_: int) -> DocumentState:
        """Return the state of a document for a reviewer."""
        history = self._histories[id_].get(reviewer)
        return "untouched" if history is None else history.state.state

    def labels(self, reviewer: str) -> Counter[str]:
        """Count the labels of all spans that a reviewer has not rejected."""
        counts: Counter[str] = Counter()
        for id_, document in self.documents.items():
            if reviewer in self._histories[id_] or document.gold is not None:
                spans = self.state(reviewer, id_).spans.values()
                counts.update(span.label for span in spans if span.decision != "rejected")
            else:  # the spans of the model, of which no state needs to be made
                counts.update(span.label for span in self.prediction(id_).spans)
        return counts

    def history(self, reviewer: str, id_: int) -> DocumentHistory:
        """Return the history of a document for a reviewer, a new one if it is untouched."""
        known = self._histories[self.document(id_).id].get(reviewer)
        return known or DocumentHistory(self.state(reviewer, id_), model=self.model)

    def _begin(self, id_: int, model: int) -> ReviewState:
        predicted = self.prediction(id_, model=model).spans
        return begin_review(self.documents[id_], predicted, is_audit=self.is_audit)

    def _replay(self, entry: LogEntry) -> None:
        histories = self._histories[entry.document]
        if entry.reviewer not in histories:
            first = self._begin(entry.document, entry.model)
            histories[entry.reviewer] = DocumentHistory(first, model=entry.model)
        history = histories[entry.reviewer]
        history.append(entry.step, entry.action, at=entry.at)
        if entry.key is not None:
            history.keys.add(entry.key)

    def act(
        self,
        reviewer: str,
        id_: int,
        action: Decision | ApplyEverywhere,
        *,
        revision: int,
        key: str | None = None,
    ) -> int:
        """Carry out an action, and return the number of documents that it changed.

        A request whose `key` was there before was carried out, and nothing is done.

        Raises:
            StaleRevisionError: the document has changed since it was loaded.
            ReviewError: the action is refused.
        """
        with self.lock:
            if self._is_repeated(reviewer, id_, key):
                return 0
            self._check_revision(reviewer, id_, revision)
            step = self.store.next_step()
            if isinstance(action, ApplyEverywhere):
                marks = dict(self._find_places(reviewer, id_, action))
                self._append(reviewer, step, marks, key)
                return len(marks)
            self.state(reviewer, id_).apply(action, step=step)  # or raise
            self._append(reviewer, step, {id_: action}, key)
            return 1

    def undo(self, reviewer: str, id_: int, *, revision: int, key: str | None = None) -> int:
        """Undo the last step of a document, in all documents that it was taken in; count them.

        Raises:
            StaleRevisionError: the document has changed since it was loaded.
            ReviewError: there is nothing to undo.
        """
        return self._reverse(reviewer, id_, revision, "undo", key)

    def redo(self, reviewer: str, id_: int, *, revision: int, key: str | None = None) -> int:
        """Redo the step that was undone last, in all documents that it was taken in; count them.

        Raises:
            StaleRevisionError: the document has changed since it was loaded.
            ReviewError: there is nothing to redo.
        """
        return self._reverse(reviewer, id_, revision, "redo", key)

    def _reverse(
        self,
        reviewer: str,
        id_: int,
        revision: int,
        kind: Literal["undo", "redo"],
        key: str | None,
    ) -> int:
        with self.lock:
            if self._is_repeated(reviewer, id_, key):
                return 0
            self._check_revision(reviewer, id_, revision)
            history = self.history(reviewer, id_)
            target = history.undoable if kind == "undo" else history.redoable
            if target is None:
                raise ReviewError(f"there is nothing to {kind} in this document.")
            action = UndoStep(step=target) if kind == "undo" else RedoStep(step=target)
            documents = [
                other
                for other, histories in self._histories.items()
                if reviewer in histories and histories[reviewer].has_step(target)
            ]
            self._append(reviewer, self.store.next_step(), dict.fromkeys(documents, action), key)
            return len(documents)

    def _is_repeated(self, reviewer: str, id_: int, key: str | None) -> bool:
        return key is not None and key in self.history(reviewer, id_).keys

    def _check_revision(self, reviewer: str, id_: int, revision: int) -> None:
        if self.history(reviewer, id_).revision != revision:
            raise StaleRevisionError(
                "the document has changed since it was loaded, in another window or by a step that "
                "reached it from another document. Look at it again."
            )

    def _append(
        self, reviewer: str, step: int, actions: Mapping[int, LoggedAction], key: str | None
    ) -> None:
        """Write a step to the log, and carry it out once it is on the disk."""
        at = now()
        entries = [
            LogEntry(step, id_, reviewer, at, self.history(reviewer, id_).model, action, key)
            for id_, action in actions.items()
        ]
        if entries:
            self.store.append(entries)
            for entry in entries:
                self._replay(entry)
            self.changes += 1

    def _find_places(
        self, reviewer: str, id_: int, action: ApplyEverywhere
    ) -> Iterator[tuple[int, Mark]]:
        """Yield the documents in which the string of a span occurs undecided, with what to mark."""
        span = self.state(reviewer, id_).find(action.span)
        tokens = tuple(
            token.text for token in tokenize(self.documents[id_].text[span.start : span.end])
        )
        if not tokens:
            raise ReviewError("the span has no letter, digit or symbol. Choose another.")
        occurrences = StringOccurrences(tokens)
        for other in [id_] if action.scope == "document" else self.documents:
            text = self.documents[other].text
            if self.document_state(reviewer, other) == "skipped":
                continue
            found = set(occurrences.find(text))
            if other == id_:
                found.add((span.start, span.end))
            if not found:
                continue
            state = self.state(reviewer, other)
            places = places_to_mark(state, sorted(found), span.label)
            if places:
                yield other, Mark(label=span.label, ranges=places)

    def settled(self, id_: int) -> Settled | None:
        """Return the final spans of a document: adjudicated, or alike for all who are done with it.

        There are none where nobody is done with it, or those who are disagree.
        """
        adjudication = self.adjudications.get(id_)
        if adjudication is not None:
            return Settled(
                adjudication.spans, (adjudication.reviewer,), adjudication.at, is_adjudicated=True
            )
        done = self.finished(id_)
        if len({frozenset(history.state.accepted) for history in done.values()}) != 1:
            return None
        histories = [*done.values()]
        at = max(history.last_change for history in histories)
        return Settled(histories[0].state.accepted, tuple(done), at)

    def finished(self, id_: int) -> dict[str, DocumentHistory]:
        """Return the histories of those who are done with a document, by name."""
        return {
            reviewer: history
            for reviewer, history in sorted(self._histories[id_].items(), key=itemgetter(0))
            if history.state.state == "done"
        }

    def is_open(self, id_: int) -> bool:
        """Return True if nobody has skipped a document, or is done with it."""
        states = {history.state.state for history in self._histories[id_].values()}
        return not states & {"done", "skipped"}

    def disagreements(self) -> list[int]:
        """Return the documents that reviewers are done with and disagree about, in order."""
        return [id_ for id_ in self.documents if self.is_disputed(id_)]

    def is_disputed(self, id_: int) -> bool:
        """Return True if reviewers who are done with a document disagree, and nobody settled it."""
        return len(self.finished(id_)) > 1 and self.settled(id_) is None

    def adjudicate(self, reviewer: str, id_: int, spans: Sequence[Span]) -> None:
        """Settle the spans of a document.

        Raises:
            ReviewError: there is no such document, or the spans cross, are there twice, or are no
                pieces of its text.
        """
        with self.lock:
            state = ReviewState.begin([], length=len(self.document(id_).text))
            for number, span in enumerate(spans):
                add = Add(start=span.start, end=span.end, label=span.label)
                state = state.apply(add, step=number)
            adjudication = Adjudication(id_, reviewer, now(), state.accepted)
            self.store.adjudicate(adjudication)
            self.adjudications[id_] = adjudication
            self.changes += 1

    def use_model(
        self,
        path: str,
        gain: Mapping[str, object] | None,
        predictions: dict[int, DocumentPrediction],
    ) -> int:
        """Take a new model, whose spans all untouched documents get, and return its number."""
        with self.lock:
            number = self.store.add_model(path, gain, predictions)
            self.models = self.store.models()
            self._untouched.clear()
            self.changes += 1
        return number
