"""Constrained decoding: a stepper over edits, whose output is the source plus well-nested tags.

It wraps a stepper over tokens and is a stepper itself, so that every search works with it. Its
symbols are edits: copy the next source token, close the innermost open tag, open a tag, and end. In
each step the edits are masked that would break one of these constraints:

- a tag opens before a token that is not white space, at most `depth` deep, and not inside its own
  label unless the training pairs nest it so;
- a tag closes after a token that is not white space, so no span is empty;
- no tag opens or closes between the subwords of a word;
- white space is copied into an open span only if more than white space follows;
- the output ends when all tokens are copied and all tags are closed.

Probabilities are those of the wrapped stepper, renormalized over the allowed edits; a source token
that is not in the target vocabulary has the probability of the unknown symbol.
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
    """Vocabulary of edits and the constraints on them.

    For each source id (source vocabulary,): `copy_of` is its target id, `is_blank` is True for
    white space, and `continues` is True for a subword that continues a word. For each label: target
    ids `opening` and `closing` (labels,) of its tags, and `nests_in_itself` (labels,). `depth` is
    the maximum depth of nested tags.
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
        """Build the tables from a tokenizer."""
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
        """Return the maximum number of edits (B,) of an output; source lengths count the end."""
        return (source_lengths - 1) * (1 + 2 * self.depth) + 1


_PAST, _TRAILING, _BLANK, _CONTENT, _CONTINUED = range(5)
"""Kind of the next token: the end of the source, trailing white space, other white space, the first
subword of a word, or a further one."""


class _Sources(NamedTuple):
    """Copies of the source tokens of a batch and their kinds, both (B * S,)."""

    copies: Tensor
    kinds: Tensor


@dataclass(frozen=True)
class ConstrainedState(Generic[State]):
    """State of constrained decoding.

    `inner` is the state of the wrapped stepper. `place` (B,) is the index of the next token in
    `sources`, which all rows share. `opened` (B, depth + 1) are the labels of the open tags, the
    innermost first, followed by -1; `may_close` (B,) is True if a tag may close.
    """

    inner: State
    sources: _Sources
    place: Tensor
    opened: Tensor
    may_close: Tensor


class ConstrainedStepper(Generic[State]):
    """Stepper over edits, constrained to the source plus well-nested tags."""

    def __init__(self, stepper: Stepper[State], edits: EditVocabulary) -> None:
        self._stepper = stepper
        self._edits = edits
        device = edits.opening.device
        self._specials = torch.arange(len(SPECIALS), device=device)
        self._closing = torch.cat([edits.closing, self._specials[[PAD]]])  # [-1]: no open tag
        labels = torch.arange(len(edits.opening), device=device)
        self._not_self_nested = labels.masked_fill(edits.nests_in_itself, len(labels))
        self._slots = torch.arange(edits.depth + 1, device=device)

    def start(self, batch: Batch) -> ConstrainedState[State]:
        """Encode the sources; no token is copied and no tag is open."""
        edits, device = self._edits, batch.source.device
        count, width = batch.source.shape
        places = torch.arange(width, device=device)
        is_left = places < (batch.source_lengths.to(device) - 1).unsqueeze(1)  # (B, S)
        is_content = is_left & ~edits.is_blank[batch.source]
        content = ((places + 1) * is_content).amax(1, keepdim=True)  # end of the last word
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
        """Apply the edit `last` (B,), and feed its token to the wrapped stepper."""
        copies, closes, opens = last == COPY, last == CLOSE, last >= OPEN
        tokens = self._edit_tokens(state).gather(1, last.unsqueeze(1)).squeeze(1)
        # Open tags are shifted down by one slot for a new tag, or up by one for a closed tag.
        label = (last - OPEN).unsqueeze(1)
        extended = torch.cat([label, state.opened, torch.full_like(label, -1)], dim=1)
        moved = (1 + closes.long() - opens.long()).unsqueeze(1) + self._slots  # (B, depth + 1)
        is_content = copies & (state.sources.kinds[state.place] >= _CONTENT)
        return replace(
            state,
            inner=self._stepper.step(state.inner, tokens),
            place=state.place + copies,
            opened=extended.gather(1, moved),
            # Another tag may close right after a tag has closed.
            may_close=is_content | (closes & state.may_close),
        )

    def scores(self, state: ConstrainedState[State], columns: Tensor | None = None) -> Tensor:
        """Return the log-probabilities (B, edits) of the next edit, -inf for forbidden ones."""
        scores = self._stepper.scores(state.inner, self._edit_tokens(state)).float()
        # Overflown scores may select a bad edit, but only among the allowed ones.
        scores = scores.nan_to_num().masked_fill(~self._allowed(state), -torch.inf)
        scores = scores.log_softmax(1)
        return scores if columns is None else scores.gather(1, columns)

    def select(self, state: ConstrainedState[State], rows: Tensor) -> ConstrainedState[State]:
        """Select rows (B',), in any order and with repetitions."""
        return replace(
            state,
            inner=self._stepper.select(state.inner, rows),
            place=state.place[rows],
            opened=state.opened[rows],
            may_close=state.may_close[rows],
        )

    def _edit_tokens(self, state: ConstrainedState[State]) -> Tensor:
        """Return the target token (B, edits) that each edit appends."""
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
        """Return the mask (B, edits) of allowed edits."""
        kind = state.sources.kinds[state.place]
        is_open = state.opened[:, 0] >= 0
        has_room = (state.opened[:, : self._edits.depth] < 0).any(1)
        opens = (kind == _CONTENT) & has_room
        is_inside = (state.opened.unsqueeze(2) == self._not_self_nested).any(1)  # (B, labels)
        never = torch.zeros_like(opens)
        ends = (kind == _PAST) & ~is_open
        copies = kind > is_open  # no trailing white space in an open tag
        closes = is_open & state.may_close & (kind != _CONTINUED)
        single = torch.stack([never, never, never, ends, copies, closes], dim=1)
        return torch.cat([single, opens.unsqueeze(1) & ~is_inside], dim=1)


def spans_from_edits(ids: tuple[int, ...], log_probs: tuple[float, ...]) -> list[TokenSpan]:
    """Return the spans of a sequence of edits, in opening order.

    The score of a span is the sum of the log-probabilities of the edits from its opening to its
    closing tag.
    """
    spans: list[TokenSpan] = []
    opened: list[tuple[int, int]] = []  # index in `spans`, index of the edit
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
