"""Pre-trained encoders (BERT and its kin) as a source of contextual token vectors.

Any network that `transformers.AutoModel` reads. A token's vector is the mean of its sub-words in
the last layer; a token without any, such as U+200B, has a learned vector. Rows with more sub-words
than the encoder has positions are read in overlapping windows.

Shapes: B rows, T tokens, S sub-words of a row, N sub-words of a batch, H width of the encoder.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from annoseq.errors import EncoderError
from annoseq.models.padding import token_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from annoseq.models.model_config import EncoderRecord
    from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer
    from annoseq.tokenization.hash_features import FeatureHasher

_OVERLAP = 4
"""Neighbouring windows share a quarter of the positions."""
_DEFAULT_POSITIONS = 512
"""Positions of an encoder whose configuration names no limit."""
_MIN_WINDOW = 4
_CHUNK_SUBWORDS = {"cpu": 4_096}
_GPU_CHUNK_SUBWORDS = 65_536
"""Sub-words, padding included, that are read at a time: on a CPU, few stay in its cache."""


class PretrainedEncoder(nn.Module):
    """A network of transformers with its tokenizer: token ids of a `FeatureHasher` to vectors.

    `record` says where the weights come from, `notice` is the text of the licence note.
    """

    def __init__(
        self, network: nn.Module, tokenizer: EncoderTokenizer, *, record: EncoderRecord, notice: str
    ) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        self.record = record
        self.notice = notice
        self.missing = nn.Parameter(torch.zeros(self.width))
        self.window = _max_positions(network) - sum(map(len, tokenizer.special_ids))
        if self.window < _MIN_WINDOW:
            raise EncoderError(
                f"--encoder {record.name}: it reads {_max_positions(network)} positions at a time, "
                "too few to hold a word. Give another encoder."
            )
        self._is_frozen = False

    @property
    def width(self) -> int:
        """Width H of the vectors."""
        return self.record.width

    def set_trained(
        self, *, freeze: Literal["none", "embeddings", "encoder"], gradient_checkpointing: bool
    ) -> None:
        """Set the weights that are trained: all, all but the word embeddings, or none.

        Raises:
            EncoderError: the network does not support gradient checkpointing.
        """
        network: Any = self.network
        self._is_frozen = freeze == "encoder"
        network.requires_grad_(not self._is_frozen)
        if freeze == "embeddings":
            network.get_input_embeddings().requires_grad_(False)
        if gradient_checkpointing:
            enable = getattr(
                network, "activation_checkpointing_enable", network.gradient_checkpointing_enable
            )  # the new name of transformers 5.24, and the old one
            try:
                enable({"use_reentrant": False})
            except ValueError as error:
                raise EncoderError(
                    f"{self.record.model_type} encoders do not support gradient checkpointing. "
                    "Leave --gradient-checkpointing off; --micro-batch-tokens saves memory, too."
                ) from error

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Set the mode; a frozen network has no dropout."""
        super().train(mode)
        if self._is_frozen:
            self.network.eval()
        return self

    def layers(self) -> list[nn.Module]:
        """Return the layers, the lowest first; the embeddings are not among them."""
        count = self.record.layers
        stacks = [
            module
            for module in self.network.modules()
            if isinstance(module, nn.ModuleList) and len(module) == count
        ]
        return list(stacks[0]) if stacks else []

    def forward(self, hasher: FeatureHasher, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors (B, T, H) of rows of token ids (B, T)."""
        rows = list(self.tokenizer.rows(hasher, ids.cpu().numpy(), lengths.tolist()))
        windows: list[Tensor] = []
        places: list[NDArray[np.int64]] = []  # of each token's sub-words among all windows
        read = 0
        for row in rows:
            for window in cut_subwords(row.counts, size=self.window):
                windows.append(torch.from_numpy(row.ids[window.first : window.last]))
                owned = np.arange(window.owned_first, window.owned_last)
                places.append(owned + (read - window.first))
                read += window.last - window.first
        counts = torch.from_numpy(np.concatenate([row.counts for row in rows])).to(ids.device)
        states = self._encode(windows)
        pooled = _mean_by_token(states, torch.from_numpy(np.concatenate(places)), counts)
        vectors = torch.where((counts == 0).unsqueeze(1), self.missing, pooled)
        padded = vectors.new_zeros(*ids.shape, self.width)
        return padded.masked_scatter(token_mask(padded, lengths).unsqueeze(2), vectors)

    def _encode(self, windows: Sequence[Tensor]) -> Tensor:
        """Return the last layer's states (N, H) of the sub-words of windows, window by window."""
        device = self.missing.device
        limit = _CHUNK_SUBWORDS.get(device.type, _GPU_CHUNK_SUBWORDS)
        states: dict[int, Tensor] = {}
        with torch.no_grad() if self._is_frozen else nullcontext():
            for chunk in _chunks([len(window) for window in windows], limit=limit):
                encoded = self._run([windows[place] for place in chunk], device)
                states |= zip(chunk, encoded, strict=True)
        return torch.cat([states[place] for place in range(len(windows))])

    def _run(self, windows: Sequence[Tensor], device: torch.device) -> list[Tensor]:
        """Run the network on windows of sub-words; return the states (S, H) of each."""
        before, after = map(torch.tensor, self.tokenizer.special_ids)
        rows = [torch.cat([before.long(), window, after.long()]) for window in windows]
        lengths = [max(len(row), 1) for row in rows]  # without special symbols, one may be empty
        ids = pad_sequence([F.pad(row, (0, int(not len(row)))) for row in rows], batch_first=True)
        mask = torch.arange(ids.shape[1]) < torch.tensor(lengths).unsqueeze(1)
        ids = ids.masked_fill(~mask, self._pad_id)
        output = self.network(input_ids=ids.to(device), attention_mask=mask.long().to(device))
        states = output.last_hidden_state.float()[:, len(before) :]
        return [row[: len(window)] for row, window in zip(states, windows, strict=True)]

    @property
    def _pad_id(self) -> int:
        config: Any = self.network.config
        return getattr(config, "pad_token_id", None) or 0


def _mean_by_token(states: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """Return the mean (T, H) of each token's states; `counts` (T,) of the `places` are its own."""
    if not len(places):
        return states.new_zeros(len(counts), states.shape[1]) + states.sum()
    starts = counts.cumsum(0) - counts
    return F.embedding_bag(places.to(states.device), states, starts, mode="mean")


def _chunks(lengths: Sequence[int], *, limit: int) -> Iterator[list[int]]:
    """Yield the windows of each chunk, longest first; a longer window than `limit` has its own."""
    chunk: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if chunk and (len(chunk) + 1) * lengths[chunk[0]] > limit:
            yield chunk
            chunk = []
        chunk.append(place)
    yield chunk


class SubwordWindow(NamedTuple):
    """Sub-words `first` to `last` (excluded) of a row, and those whose states the window gives."""

    first: int
    last: int
    owned_first: int
    owned_last: int


def cut_subwords(counts: NDArray[np.int64], *, size: int) -> list[SubwordWindow]:
    """Cut a row into windows of at most `size` sub-words, which overlap, at the ends of tokens.

    `counts` (T,) are the sub-words of each token. A token that is longer than a window is cut. Each
    half of an overlap is owned by the nearer window, so that every sub-word is owned by one.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1])
    windows: list[SubwordWindow] = []
    first = owned_first = 0
    while True:
        tokens = int(np.searchsorted(ends, first + size, side="right"))
        fitting = int(ends[tokens - 1]) if tokens else 0
        last = fitting if fitting > first else min(first + size, total)
        if last == total:
            return [*windows, SubwordWindow(first, total, owned_first, total)]
        start = _token_end(ends, max(last - size // _OVERLAP, first + 1), most=last)
        middle = _token_end(ends, (start + last) // 2, most=last)
        windows.append(SubwordWindow(first, last, owned_first, middle))
        first, owned_first = start, middle


def _token_end(ends: NDArray[np.int64], place: int, *, most: int) -> int:
    """Return the first end of a token from `place` on, or `place` if that is above `most`."""
    end = int(ends[np.searchsorted(ends, place)])
    return end if end <= most else place


def _max_positions(network: nn.Module) -> int:
    """Return the largest number of positions, special symbols included, that a network reads."""
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and its kin count positions from the one after that of padding.
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    config: Any = network.config
    return int(getattr(config, "max_position_embeddings", None) or _DEFAULT_POSITIONS)
