"""The vectors of a pre-trained encoder in an ONNX file are those of the network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch

from annoseq.models import onnx_encoder
from annoseq.models.encoder_folder import open_encoder
from annoseq.models.onnx_encoder import OnnxEncoder
from annoseq.models.onnx_model import EncoderFiles
from annoseq.tokenization.hash_features import FeatureHasher
from tests.encoders import FAMILIES, encoder_folder
from tests.models.test_pretrained_encoder import ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.models.onnx_model import OnnxModel
    from annoseq.models.pretrained_encoder import PretrainedEncoder


class NetworkAsGraph:
    """A network behind the interface of a graph."""

    def __init__(self, encoder: PretrainedEncoder) -> None:
        self._network = encoder.network
        self.tokenizer = SimpleNamespace(feature_hasher=FeatureHasher(buckets=1024))

    def run(self, output: str, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        assert output == "states"
        ids, mask = (torch.from_numpy(inputs[name]) for name in ("subwords", "mask"))
        states = self._network(input_ids=ids, attention_mask=mask).last_hidden_state
        return cast("NDArray[np.float32]", states.numpy())


@pytest.mark.parametrize("chunk", [1, 4096])
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_the_network(
    family: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_encoder, "CPU_CHUNK_SUBWORDS", chunk)
    encoder = open_encoder(encoder_folder(family)).eval()
    with torch.no_grad():
        encoder.missing.fill_(7.0)
    graph = NetworkAsGraph(encoder)
    files = EncoderFiles(
        tokenizer=encoder.tokenizer.text,
        notice=encoder.notice,
        missing=encoder.missing.tolist(),
        window=encoder.window,
        pad_id=encoder.pad_id,
    )
    hasher = graph.tokenizer.feature_hasher
    for rows in (ROWS, [["\u200b"]]):
        numbers = [hasher.token_ids(row) for row in rows]
        lengths = np.array(list(map(len, numbers)))
        ids = np.zeros((len(rows), lengths.max()), np.int64)
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(numbers)
        with torch.no_grad():
            expected = encoder(hasher, torch.from_numpy(ids), torch.from_numpy(lengths)).numpy()
            found = OnnxEncoder(cast("OnnxModel", graph), files).vectors(ids, lengths)
        assert found.dtype == np.float32
        assert found == pytest.approx(expected, abs=1e-5)
