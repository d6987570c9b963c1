"""Pre-trained encoders (BERT and its kin) as a source of contextual token vectors.

Any network that `transformers.AutoModel` reads. A token's vector is the mean of its sub-words in
the last layer; a token without any, such as U+200B, has a learned vector. Rows with more sub-words
than the encoder has positions are read in overlapping windows.

Shapes: B rows, T tokens, S sub-words of a row, N sub-words of a batch, H width of the encoder.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.errors import EncoderError
from annoseq.models.padding import token_mask
from annoseq.tokenization.subword_windows import (
    CPU_CHUNK_SUBWORDS,
    TokenSubwords,
    chunk_windows,
    lay_out_windows,
    pad_windows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from annoseq.models.model_config import EncoderRecord
    from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer
    from annoseq.tokenization.hash_features import FeatureHasher

_DEFAULT_POSITIONS = 512
"""Positions of an encoder whose configuration names no limit."""
_MIN_WINDOW = 4
_GPU_CHUNK_SUBWORDS = 65_536


class PretrainedEncoder(nn.Module):
    """A network of transformers with its tokenizer: token ids of a `FeatureHasher` to vectors.

    `record` says where the weights come from, `notice` is the text of the licence note.
    """

    def __init__(
        self, network: nn.Module, tokenizer: EncoderTokenizer, *, record: EncoderRecord, notice: str
    ) -> None:
        super().__init__()
        self.network = network
        self.subwords = TokenSubwords(tokenizer)
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
    def tokenizer(self) -> EncoderTokenizer:
        """Tokenizer of the network."""
        return self.subwords.tokenizer

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
        rows = self.subwords.rows(hasher, ids.cpu().numpy(), lengths.tolist())
        windows, places, token_counts = lay_out_windows(rows, size=self.window)
        counts = torch.from_numpy(token_counts).to(ids.device)
        pooled = _mean_by_token(self._encode(windows), torch.from_numpy(places), counts)
        vectors = torch.where((counts == 0).unsqueeze(1), self.missing, pooled)
        padded = vectors.new_zeros(*ids.shape, self.width)
        return padded.masked_scatter(token_mask(padded, lengths).unsqueeze(2), vectors)

    def _encode(self, windows: Sequence[NDArray[np.int64]]) -> Tensor:
        """Return the last layer's states (N, H) of the sub-words of windows, window by window."""
        device = self.missing.device
        limit = CPU_CHUNK_SUBWORDS if device.type == "cpu" else _GPU_CHUNK_SUBWORDS
        states: dict[int, Tensor] = {}
        with torch.no_grad() if self._is_frozen else nullcontext():
            for chunk in chunk_windows(windows, limit=limit):
                encoded = self._run([windows[place] for place in chunk], device)
                states |= zip(chunk, encoded, strict=True)
        return torch.cat([states[place] for place in range(len(windows))])

    def _run(self, windows: Sequence[NDArray[np.int64]], device: torch.device) -> list[Tensor]:
        """Run the network on windows of sub-words; return the states (S, H) of each."""
        special = self.tokenizer.special_ids
        ids, mask = map(torch.from_numpy, pad_windows(windows, special, pad=self.pad_id))
        output = self.network(input_ids=ids.to(device), attention_mask=mask.to(device))
        states = output.last_hidden_state.float()[:, len(special.before) :]
        return [row[: len(window)] for row, window in zip(states, windows, strict=True)]

    @property
    def pad_id(self) -> int:
        """Id of the symbol that fills the rows of a batch."""
        config: Any = self.network.config
        return getattr(config, "pad_token_id", None) or 0


def _mean_by_token(states: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """Return the mean (T, H) of each token's states; `counts` (T,) of the `places` are its own."""
    if not len(places):
        return states.new_zeros(len(counts), states.shape[1]) + states.sum()
    starts = counts.cumsum(0) - counts
    return F.embedding_bag(places.to(states.device), states, starts, mode="mean")


def _max_positions(network: nn.Module) -> int:
    """Return the largest number of positions, special symbols included, that a network reads."""
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and its kin count positions from the one after that of padding.
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    config: Any = network.config
    return int(getattr(config, "max_position_embeddings", None) or _DEFAULT_POSITIONS)
