"""Pre-trained encoder in an ONNX file: the vectors of tokens in numpy, without torch.

`annoseq.models.pretrained_encoder` does the same in torch.

Shapes: B rows, T tokens, S sub-words of a window, N sub-words of a batch, H width of the encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from annoseq.models.onnx_model import ENCODER_INPUTS, STATES
from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer
from annoseq.tokenization.subword_windows import (
    CPU_CHUNK_SUBWORDS,
    TokenSubwords,
    chunk_windows,
    lay_out_windows,
    pad_windows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.models.onnx_model import EncoderFiles, OnnxModel


class OnnxEncoder:
    """Pre-trained encoder of a model: token ids of its feature hasher to vectors."""

    def __init__(self, model: OnnxModel, files: EncoderFiles) -> None:
        self._model, self._files = model, files
        self._subwords = TokenSubwords(EncoderTokenizer(files.tokenizer))
        self._missing = np.array(files.missing, np.float32)

    def vectors(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (B, T, H) of rows of token ids (B, T)."""
        hasher = self._model.tokenizer.feature_hasher
        rows = self._subwords.rows(hasher, ids, lengths.tolist())
        windows, places, counts = lay_out_windows(rows, size=self._files.window)
        states = self._encode(windows)[places]
        pooled = np.tile(self._missing, (len(counts), 1))
        has_states = counts > 0
        if len(states):
            starts = (counts.cumsum() - counts)[has_states]
            sums = np.add.reduceat(states, starts)
            pooled[has_states] = sums / counts[has_states, None].astype(np.float32)
        padded = np.zeros((*ids.shape, len(self._missing)), np.float32)
        padded[np.arange(ids.shape[1]) < lengths[:, None]] = pooled
        return padded

    def _encode(self, windows: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return the last layer's states (N, H) of the sub-words of windows, window by window."""
        special = self._subwords.tokenizer.special_ids
        states: dict[int, NDArray[np.float32]] = {}
        for chunk in chunk_windows(windows, limit=CPU_CHUNK_SUBWORDS):
            arrays = pad_windows(
                [windows[place] for place in chunk], special, pad=self._files.pad_id
            )
            found = self._model.run(STATES, dict(zip(ENCODER_INPUTS, arrays, strict=True)))
            for place, row in zip(chunk, found[:, len(special.before) :], strict=True):
                states[place] = row[: len(windows[place])]
        return np.concatenate([states[place] for place in range(len(windows))])
