"""ONNX files with a tagger that was never trained: a graph of few nodes, made without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

from annoseq.models.onnx_model import OnnxMetadata, write_onnx_file
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.calibrated import calibrated_model

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.models.serialization import TrainedModel

# The vector of a token is the number of its features of each kind.
_GRAPH = """
<ir_version: 10, opset_import: ["" : 20]>
tiny (int64[f] features, int64[f] bags, int64[n, 5] counts,
      float[w, 5] vectors, int64[b, t] places, int64[b] lengths)
  => (float[n, 5] embedded, float[b, t, k] scores)
{
    embedded = Cast <to: int = 1> (counts)
    encoded = Gather (vectors, places)
    scores = MatMul (encoded, weights)
}
"""


def tiny_graph(labels: int, *, spread: float = 0.3) -> bytes:
    """Return a graph with a CRF's scores of random tags, as bytes."""
    model = onnx.parser.parse_model(_GRAPH)
    weights = np.random.default_rng(0).normal(scale=spread, size=(5, 4 * labels + 1))
    tensor = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    model.graph.initializer.append(tensor)
    content: bytes = model.SerializeToString()
    return content


def metadata_of(model: TrainedModel, *, card: str = "# Model card\n") -> OnnxMetadata:
    """Return the metadata of a tagger with a CRF without preferred transitions."""
    assert isinstance(model.tokenizer, TaggerTokenizer)
    labels = len(model.tokenizer.labels)
    between, within = np.zeros((labels + 1, labels + 1)), np.zeros((4, labels))
    return OnnxMetadata(
        config=model.config,
        tokenizer=model.tokenizer.to_json(),
        transitions=(between.tolist(), within.tolist()),
        calibration=model.calibration,
        card=card,
        graph_bytes=0,
        graph_sha256="",
    )


def write_tiny_file(path: Path, model: TrainedModel | None = None) -> Path:
    """Write a file of a calibrated tagger, which annotates by the lengths of tokens."""
    model = model or calibrated_model()
    labels = len(model.tokenizer.labels)
    write_onnx_file(path, tiny_graph(labels), metadata_of(model))
    return path
