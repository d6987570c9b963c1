"""The faithful automaton: a stepper over edits, which cannot change a character.

It wraps a stepper that writes tokens, and is one itself, so that every search works over it. Its
symbols are the edits: copy the next source token, close the innermost open tag, open a tag, and
end. At each step only those are possible that keep the output the source plus well-nested tags:

- a tag opens before a token that is not white space, at most `depth` deep, and not inside its
  own label unless the training pairs nest it so;
- it closes after a token that is not white space, so no span is empty;
- white space is copied into an open span only if more than white space follows;
- the end comes when all is copied and closed.

The probabilities are the wrapped stepper's, renormalised over what is possible; a source token
that its vocabulary lacks has the probability of the unknown symbol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic

import torch

from annoseq.decoding.windows import TokenSpan
from annoseq.models.stepper import State
from annoseq.pairs.markup import closing, opening
from annoseq.text.vocabulary import END, PAD, SPECIALS

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.models.stepper import Stepper
    from annoseq.text.batches import Batch
    from annoseq.text.codec import Codec

COPY = len(SPECIALS)
CLOSE = COPY + 1
OPEN = CLOSE + 1
"""Edit `OPEN + i` opens the i-th label."""


@dataclass(frozen=True)
class Edits:
    """What the automaton must know of the vocabularies and of the training pairs.

    `copy_of` (source vocabulary,) is the target id of every source id, `is_blank` (source
    vocabulary,) whether it is white space; `opening` and `closing` (labels,) are the tags'
    target ids; `nests_in_itself` (labels,) and `depth` bound how tags nest.
    """

    copy_of: Tensor
    is_blank: Tensor
    opening: Tensor
    closing: Tensor
    nests_in_itself: Tensor
    depth: int

    @classmethod
    def of(cls, codec: Codec) -> Edits:
        """Build the tables from a model's codec."""
        labels, target = codec.labels, codec.target
        return cls(
            copy_of=torch.tensor(target.look_up(codec.source.tokens)),
            is_blank=torch.tensor([token.isspace() for token in codec.source.tokens]),
            opening=torch.tensor(target.look_up(map(opening, labels)), dtype=torch.long),
            closing=torch.tensor(target.look_up(map(closing, labels)), dtype=torch.long),
            nests_in_itself=torch.tensor(
                [label in codec.bounds.self_nested for label in labels], dtype=torch.bool
            ),
            depth=codec.bounds.depth,
        )

    def to(self, device: torch.device) -> Edits:
        """Copy the tables to a device."""
        tables = {
            name: getattr(self, name).to(device)
            for name in ("copy_of", "is_blank", "opening", "closing", "nests_in_itself")
        }
        return replace(self, **tables)

    def limits(self, source_lengths: Tensor) -> Tensor:
        """Return how many edits (B,) an output can have at the most; lengths count the end."""
        return (source_lengths - 1) * (1 + 2 * self.depth) + 1


@dataclass(frozen=True)
class FaithfulState(Generic[State]):
    """Where every row stands.

    `inner` is the wrapped stepper's state. `copies` and `blanks` (B, S) are what the source's
    tokens become and which are white space, `length` (B,) its tokens, `content` (B,) those up to
    the last that is not white space. `copied` (B,) tokens are written; `opened` (B, depth) holds
    the labels of the `open_count` (B,) open tags, and `has_content` (B,) tells whether the last
    symbol was a token that a tag may close after.
    """

    inner: State
    copies: Tensor
    blanks: Tensor
    length: Tensor
    content: Tensor
    copied: Tensor
    opened: Tensor
    open_count: Tensor
    has_content: Tensor


class Faithful(Generic[State]):
    """A stepper over edits."""

    def __init__(self, stepper: Stepper[State], edits: Edits) -> None:
        self._stepper = stepper
        self._edits = edits

    def start(self, batch: Batch) -> FaithfulState[State]:
        """Read the sources; nothing is copied or open yet."""
        edits, count, device = self._edits, len(batch.rows), batch.source.device
        length = batch.source_lengths.to(device) - 1  # without the end symbol
        places = torch.arange(batch.source.shape[1], device=device)
        blanks = edits.is_blank[batch.source]
        has_content = ~blanks & (places < length.unsqueeze(1))  # (B, S)
        nothing = torch.zeros(count, dtype=torch.long, device=device)
        return FaithfulState(
            inner=self._stepper.start(batch),
            copies=edits.copy_of[batch.source],
            blanks=blanks,
            length=length,
            content=((places + 1) * has_content).amax(1),
            copied=nothing,
            opened=torch.full((count, edits.depth), -1, device=device),
            open_count=nothing,
            has_content=nothing.bool(),
        )

    def step(self, state: FaithfulState[State], last: Tensor) -> FaithfulState[State]:
        """Do the edit `last` (B,) and feed what it writes to the wrapped stepper."""
        copies, closes, opens = last == COPY, last == CLOSE, last >= OPEN
        written = torch.where(copies, self._next(state, state.copies), last)
        written = torch.where(closes, self._closing(state), written)
        label = (last - OPEN).clamp(min=0)
        if len(self._edits.opening):
            written = torch.where(opens, self._edits.opening[label], written)
        slots = torch.arange(self._edits.depth, device=last.device)
        is_top = slots == state.open_count.unsqueeze(1) - closes.unsqueeze(1).long()  # (B, depth)
        opened = torch.where(is_top & opens.unsqueeze(1), label.unsqueeze(1), state.opened)
        opened = opened.masked_fill(is_top & closes.unsqueeze(1), -1)
        is_content = copies & ~self._next(state, state.blanks)
        return replace(
            state,
            inner=self._stepper.step(state.inner, written),
            copied=state.copied + copies,
            opened=opened,
            open_count=state.open_count + opens.long() - closes.long(),
            # A tag that has just closed may be followed by another that closes.
            has_content=is_content | (closes & state.has_content),
        )

    def scores(self, state: FaithfulState[State], columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, edits) of the next edit, -inf for the impossible."""
        columns_asked = torch.cat(
            [
                torch.full_like(state.copied, END).unsqueeze(1),
                self._next(state, state.copies).unsqueeze(1),
                self._closing(state).unsqueeze(1),
                self._edits.opening.expand(len(state.copied), -1),
            ],
            dim=1,
        )  # (B, 3 + labels)
        allowed = self._allowed(state)
        scores = self._stepper.scores(state.inner, columns_asked).float()
        scores = scores.masked_fill(~allowed, -torch.inf).log_softmax(1)
        never = scores.new_full((len(scores), END), -torch.inf)
        scores = torch.cat([never, scores], dim=1)
        return scores if columns is None else scores.gather(1, columns)

    def select(self, state: FaithfulState[State], rows: Tensor) -> FaithfulState[State]:
        """Take some rows, in any order, any of them more than once."""
        tables = {
            name: getattr(state, name)[rows]
            for name in (
                "copies",
                "blanks",
                "length",
                "content",
                "copied",
                "opened",
                "open_count",
                "has_content",
            )
        }
        return FaithfulState(inner=self._stepper.select(state.inner, rows), **tables)

    def _allowed(self, state: FaithfulState[State]) -> Tensor:
        """Tell which of end, copy, close and the opening tags are possible, (B, 3 + labels)."""
        is_open = state.open_count > 0
        is_left = state.copied < state.length
        is_blank = self._next(state, state.blanks)
        ends = ~is_left & ~is_open
        copies = is_left & ~(is_open & is_blank & (state.copied >= state.content))
        closes = is_open & state.has_content
        opens = is_left & ~is_blank & (state.open_count < self._edits.depth)
        labels = torch.arange(len(self._edits.opening), device=is_open.device)
        is_inside = (state.opened.unsqueeze(2) == labels).any(1)  # (B, labels)
        may_open = opens.unsqueeze(1) & (~is_inside | self._edits.nests_in_itself)
        return torch.cat([torch.stack([ends, copies, closes], dim=1), may_open], dim=1)

    def _next(self, state: FaithfulState[State], table: Tensor) -> Tensor:
        """Return the entry (B,) of `table` (B, S) at the next token; past the end, the last."""
        place = state.copied.clamp(max=table.shape[1] - 1).unsqueeze(1)
        return table.gather(1, place).squeeze(1)

    def _closing(self, state: FaithfulState[State]) -> Tensor:
        """Return the id (B,) of the tag that closes the innermost open one, or padding."""
        if not self._edits.depth:
            return torch.full_like(state.copied, PAD)
        top = (state.open_count - 1).clamp(min=0).unsqueeze(1)
        label = state.opened.gather(1, top).squeeze(1)
        return torch.where(label >= 0, self._edits.closing[label.clamp(min=0)], PAD)


def edited_spans(ids: tuple[int, ...], log_probs: tuple[float, ...]) -> list[TokenSpan]:
    """Read spans off edits, in opening order.

    The score of a span is the sum of the log-probabilities of all edits from its opening to its
    closing.
    """
    spans: list[TokenSpan] = []
    opened: list[tuple[int, int]] = []  # place in `spans`, place of the edit
    copied = 0
    for place, edit in enumerate(ids):
        if edit == COPY:
            copied += 1
        elif edit == CLOSE:
            index, begun = opened.pop()
            first, _, label, _ = spans[index]
            spans[index] = TokenSpan(first, copied, label, sum(log_probs[begun : place + 1]))
        else:
            opened.append((len(spans), place))
            spans.append(TokenSpan(copied, copied, edit - OPEN, 0.0))
    return spans
