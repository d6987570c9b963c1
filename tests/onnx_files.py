"""ONNX files with a tagger that was never trained: a graph of few nodes, made without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

from annoseq.models.onnx_model import FEATURE_INPUTS, OnnxMetadata, write_onnx_file
from annoseq.tokenization.hash_features import table_sizes
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.calibrated import calibrated_model

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.models.serialization import TrainedModel

# The vector of a token is the number of its features of each kind.
_COUNT = """
    is_{kind} = Less ({kind}, padding)
    ones_{kind} = Cast <to: int = 1> (is_{kind})
    count_{kind} = ReduceSum (ones_{kind}, axis)
"""
_GRAPH = f"""
<ir_version: 10, opset_import: ["" : 20]>
tiny ({", ".join(f"int64[n, f{kind}] {name}" for kind, name in enumerate(FEATURE_INPUTS))},
      float[w, 5] vectors, int64[b, t] places, int64[b] lengths)
  => (float[n, 5] embedded, float[b, t, k] scores)
{{
    axis = Constant <value: tensor = int64[1] {{1}}> ()
    {"".join(_COUNT.format(kind=name) for name in FEATURE_INPUTS)}
    embedded = Concat <axis: int = 1> ({", ".join(f"count_{name}" for name in FEATURE_INPUTS)})
    encoded = Gather (vectors, places)
    scores = MatMul (encoded, weights)
}}
"""


def tiny_graph(labels: int, *, spread: float = 0.3) -> bytes:
    """Return a graph with a CRF's scores of random tags, as bytes."""
    model = onnx.parser.parse_model(_GRAPH)
    weights = np.random.default_rng(0).normal(scale=spread, size=(5, 4 * labels + 1))
    tensor = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    buckets = calibrated_model().config.network.tagger.buckets
    padding = np.array(sum(table_sizes(buckets)))
    model.graph.initializer.append(tensor)
    model.graph.initializer.append(onnx.numpy_helper.from_array(padding, "padding"))
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
