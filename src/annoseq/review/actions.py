"""Actions of a reviewer, as the page sends them and the log of a project keeps them.

Offsets are code points of the document's text. An action is data; `decisions` says what it does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    StringConstraints,
    TypeAdapter,
)

from annoseq.data.markup import is_label
from annoseq.data.text_inputs import WellFormedText

MAX_NOTE = 10_000
"""Characters of a note."""


def _check_label(label: str) -> str:
    if not is_label(label):
        raise ValueError(
            "a label has no white space, braces or backslashes, and no slash in front. Choose "
            "another name"
        )
    return label


SpanId = Annotated[str, StringConstraints(min_length=1, max_length=40)]
LabelName = Annotated[
    WellFormedText, StringConstraints(max_length=100), AfterValidator(_check_label)
]


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Accept(_Action):
    """Accept a span."""

    type: Literal["accept"] = "accept"
    span: SpanId


class Reject(_Action):
    """Reject a span."""

    type: Literal["reject"] = "reject"
    span: SpanId


class Relabel(_Action):
    """Accept a span with another label."""

    type: Literal["relabel"] = "relabel"
    span: SpanId
    label: LabelName


class Resize(_Action):
    """Accept a span with other edges."""

    type: Literal["resize"] = "resize"
    span: SpanId
    start: NonNegativeInt
    end: NonNegativeInt


class Add(_Action):
    """Add an accepted span; one of a model that has these edges and this label is accepted."""

    type: Literal["add"] = "add"
    start: NonNegativeInt
    end: NonNegativeInt
    label: LabelName


class Remove(_Action):
    """Remove a span that the reviewer added."""

    type: Literal["remove"] = "remove"
    span: SpanId


class Reopen(_Action):
    """Take a decision on a span back; the document is no longer done."""

    type: Literal["reopen"] = "reopen"
    span: SpanId


class TakeSuggestion(_Action):
    """Accept a span with the edges and the label that are suggested for it."""

    type: Literal["take_suggestion"] = "take_suggestion"
    span: SpanId


class AcceptAll(_Action):
    """Accept every undecided span, but for those that cross an accepted one."""

    type: Literal["accept_all"] = "accept_all"


class ApplyEverywhere(_Action):
    """Accept the string of a span wherever it occurs, with the label of the span."""

    type: Literal["apply_everywhere"] = "apply_everywhere"
    span: SpanId
    scope: Literal["document", "project"] = "document"


class Note(_Action):
    """Replace the note on the document."""

    type: Literal["note"] = "note"
    text: Annotated[WellFormedText, StringConstraints(max_length=MAX_NOTE)]


class Skip(_Action):
    """Put the document aside; nothing of it is exported."""

    type: Literal["skip"] = "skip"


class Done(_Action):
    """Declare the document done: no span is undecided, or all that are become rejected."""

    type: Literal["done"] = "done"
    reject_open: bool = False


class StartAgain(_Action):
    """Forget all decisions on the document, but for the note."""

    type: Literal["start_again"] = "start_again"


class Mark(_Action):
    """Accept spans of one label at several places: what `ApplyEverywhere` did to a document."""

    type: Literal["mark"] = "mark"
    label: LabelName
    ranges: tuple[tuple[NonNegativeInt, NonNegativeInt], ...]


class UndoStep(_Action):
    """Undo a step."""

    type: Literal["undo"] = "undo"
    step: int


class RedoStep(_Action):
    """Redo a step that was undone."""

    type: Literal["redo"] = "redo"
    step: int


Decision = (
    Accept
    | Reject
    | Relabel
    | Resize
    | Add
    | Remove
    | Reopen
    | TakeSuggestion
    | AcceptAll
    | Note
    | Skip
    | Done
    | StartAgain
    | Mark
)
"""Action that changes one document by itself."""
RequestedAction = Annotated[
    Accept
    | Reject
    | Relabel
    | Resize
    | Add
    | Remove
    | Reopen
    | TakeSuggestion
    | AcceptAll
    | ApplyEverywhere
    | Note
    | Skip
    | Done
    | StartAgain,
    Field(discriminator="type"),
]
"""Action that a page may ask for."""
LoggedAction = Annotated[Decision | UndoStep | RedoStep, Field(discriminator="type")]
"""Action of the log."""

LOGGED_ACTION: TypeAdapter[LoggedAction] = TypeAdapter(LoggedAction)
