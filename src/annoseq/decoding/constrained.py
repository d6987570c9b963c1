"""The faithful automaton: a stepper over edits, which cannot change a character.

It wraps a stepper that writes tokens, and is one itself, so that every search works over it. Its
symbols are the edits: copy the next source token, close the innermost open tag, open a tag, and
end. At each step only those are possible that keep the output the source plus well-nested tags:

- a tag opens before a token that is not white space, at most `depth` deep, and not inside its
  own label unless the training pairs nest it so;
- it closes after a token that is not white space, so no span is empty;
- it neither opens nor closes between the pieces of a word;
- white space is copied into an open span only if more than white space follows;
- the end comes when all is copied and closed.

The probabilities are the wrapped stepper's, renormalised over what is possible; a source token
that its vocabulary lacks has the probability of the unknown symbol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, NamedTuple

import torch

from annoseq.data.markup import closing, opening
from annoseq.models.interfaces import State
from annoseq.tokenization.bioes import TokenSpan
from annoseq.tokenization.vocabulary import PAD, SPECIALS

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.models.interfaces import Stepper
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

COPY = len(SPECIALS)
CLOSE = COPY + 1
OPEN = CLOSE + 1
"""Edit `OPEN + i` opens the i-th label."""


@dataclass(frozen=True)
class EditVocabulary:
    """What the automaton must know of the vocabularies and of the training pairs.

    `copy_of` (source vocabulary,) is the target id of every source id, `is_blank` (source
    vocabulary,) whether it is white space, and `continues` (source vocabulary,) whether it goes on
    with the word before it; `opening` and `closing` (labels,) are the tags' target ids;
    `nests_in_itself` (labels,) and `depth` bound how tags nest.
    """

    copy_of: Tensor
    is_blank: Tensor
    continues: Tensor
    opening: Tensor
    closing: Tensor
    nests_in_itself: Tensor
    depth: int

    @classmethod
    def of(cls, tokenizer: Seq2SeqTokenizer) -> EditVocabulary:
        """Build the tables from a model's codec."""
        labels, target = tokenizer.labels, tokenizer.target
        tokens, subwords = tokenizer.source.tokens, tokenizer.source.subwords
        return cls(
            copy_of=torch.tensor(target.tokens_to_ids(tokens)),
            is_blank=torch.tensor([subwords.is_blank(token) for token in tokens]),
            continues=torch.tensor([subwords.continues(token) for token in tokens]),
            opening=torch.tensor(target.tokens_to_ids(map(opening, labels)), dtype=torch.long),
            closing=torch.tensor(target.tokens_to_ids(map(closing, labels)), dtype=torch.long),
            nests_in_itself=torch.tensor(
                [label in tokenizer.length_stats.self_nested for label in labels], dtype=torch.bool
            ),
            depth=tokenizer.length_stats.depth,
        )

    def to(self, device: torch.device) -> EditVocabulary:
        """Copy the tables to a device."""
        tables = {
            name: getattr(self, name).to(device)
            for name in (
                *("copy_of", "is_blank", "continues"),
                *("opening", "closing", "nests_in_itself"),
            )
        }
        return replace(self, **tables)

    def limits(self, source_lengths: Tensor) -> Tensor:
        """Return how many edits (B,) an output can have at the most; lengths count the end."""
        return (source_lengths - 1) * (1 + 2 * self.depth) + 1


_PAST, _TRAILING, _BLANK, _CONTENT, _CONTINUED = range(5)
"""What comes next: the end of the source, white space after which there is nothing else, other
white space, the beginning of a word, or a piece of a word that has begun."""


class _Sources(NamedTuple):
    """What the sources of a batch become, (B * S,), and what kind of token each position is."""

    copies: Tensor
    kinds: Tensor


@dataclass(frozen=True)
class ConstrainedState(Generic[State]):
    """Where every row stands.

    `inner` is the wrapped stepper's state. `place` (B,) is where the next token stands in
    `sources`, which all rows share. `opened` (B, depth + 1) holds the labels of the open tags,
    the innermost first, then -1; `may_close` (B,) tells whether a tag may close here.
    """

    inner: State
    sources: _Sources
    place: Tensor
    opened: Tensor
    may_close: Tensor


class ConstrainedStepper(Generic[State]):
    """A stepper over edits."""

    def __init__(self, stepper: Stepper[State], edits: EditVocabulary) -> None:
        self._stepper = stepper
        self._edits = edits
        device = edits.opening.device
        self._specials = torch.arange(len(SPECIALS), device=device)
        self._closing = torch.cat([edits.closing, self._specials[[PAD]]])  # [-1]: none is open
        labels = torch.arange(len(edits.opening), device=device)
        self._alone = labels.masked_fill(edits.nests_in_itself, len(labels))  # not in themselves
        self._slots = torch.arange(edits.depth + 1, device=device)

    def start(self, batch: Batch) -> ConstrainedState[State]:
        """Read the sources; nothing is copied or open yet."""
        edits, device = self._edits, batch.source.device
        count, width = batch.source.shape
        places = torch.arange(width, device=device)
        is_left = places < (batch.source_lengths.to(device) - 1).unsqueeze(1)  # (B, S)
        is_content = is_left & ~edits.is_blank[batch.source]
        content = ((places + 1) * is_content).amax(1, keepdim=True)  # tokens up to the last such
        is_continued = is_content & edits.continues[batch.source]
        kinds = is_left.long() + (is_left & (places < content)) + is_content + is_continued
        return ConstrainedState(
            inner=self._stepper.start(batch),
            sources=_Sources(edits.copy_of[batch.source].flatten(), kinds.flatten()),
            place=torch.arange(count, device=device) * width,
            opened=torch.full((count, edits.depth + 1), -1, device=device),
            may_close=torch.zeros(count, dtype=torch.bool, device=device),
        )

    def step(self, state: ConstrainedState[State], last: Tensor) -> ConstrainedState[State]:
        """Do the edit `last` (B,) and feed what it writes to the wrapped stepper."""
        copies, closes, opens = last == COPY, last == CLOSE, last >= OPEN
        written = self._writes(state).gather(1, last.unsqueeze(1)).squeeze(1)
        # The open tags move down one slot for a new one, or up one over the one that closes.
        label = (last - OPEN).unsqueeze(1)
        extended = torch.cat([label, state.opened, torch.full_like(label, -1)], dim=1)
        moved = (1 + closes.long() - opens.long()).unsqueeze(1) + self._slots  # (B, depth + 1)
        is_content = copies & (state.sources.kinds[state.place] >= _CONTENT)
        return replace(
            state,
            inner=self._stepper.step(state.inner, written),
            place=state.place + copies,
            opened=extended.gather(1, moved),
            # A tag that has just closed may be followed by another that closes.
            may_close=is_content | (closes & state.may_close),
        )

    def scores(self, state: ConstrainedState[State], columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, edits) of the next edit, -inf for the impossible."""
        scores = self._stepper.scores(state.inner, self._writes(state)).float()
        # A network whose numbers overflow may choose badly, but among what is possible.
        scores = scores.nan_to_num().masked_fill(~self._allowed(state), -torch.inf)
        scores = scores.log_softmax(1)
        return scores if columns is None else scores.gather(1, columns)

    def select(self, state: ConstrainedState[State], rows: Tensor) -> ConstrainedState[State]:
        """Take some rows, in any order, any of them more than once."""
        return replace(
            state,
            inner=self._stepper.select(state.inner, rows),
            place=state.place[rows],
            opened=state.opened[rows],
            may_close=state.may_close[rows],
        )

    def _writes(self, state: ConstrainedState[State]) -> Tensor:
        """Return the token that each edit writes, (B, edits)."""
        count = len(state.place)
        return torch.cat(
            [
                self._specials.expand(count, -1),
                state.sources.copies[state.place].unsqueeze(1),
                self._closing[state.opened[:, 0]].unsqueeze(1),
                self._edits.opening.expand(count, -1),
            ],
            dim=1,
        )

    def _allowed(self, state: ConstrainedState[State]) -> Tensor:
        """Tell which edits are possible, (B, edits)."""
        kind = state.sources.kinds[state.place]
        is_open = state.opened[:, 0] >= 0
        has_room = (state.opened[:, : self._edits.depth] < 0).any(1)
        opens = (kind == _CONTENT) & has_room
        is_inside = (state.opened.unsqueeze(2) == self._alone).any(1)  # (B, labels)
        never = torch.zeros_like(opens)
        ends = (kind == _PAST) & ~is_open
        copies = kind > is_open  # into an open tag no trailing white space
        closes = is_open & state.may_close & (kind != _CONTINUED)
        single = torch.stack([never, never, never, ends, copies, closes], dim=1)
        return torch.cat([single, opens.unsqueeze(1) & ~is_inside], dim=1)


def spans_from_edits(ids: tuple[int, ...], log_probs: tuple[float, ...]) -> list[TokenSpan]:
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
