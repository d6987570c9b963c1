"""Export of a tagger's network as an ONNX graph.

The graph has parts that share no input, so that the vectors of tokens met before can be kept:
hashed features to token vectors, sub-words to the states of a pre-trained encoder, and the vectors
of both to the scores of the head. `_ExportedTagger` lists what each reads. Decoding is left to
`annoseq.models.span_decoder`.

Shapes: B rows, T tokens, W distinct tokens, D width of their vectors, F features, H hidden width.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.errors import ModelError, OptionError
from annoseq.models.encoders import BiLstmEncoder
from annoseq.models.onnx_model import (
    CONTEXT_INPUT,
    EMBEDDED,
    ENCODER_INPUTS,
    FEATURE_INPUTS,
    SCORE_INPUTS,
    SCORES,
    STATES,
    VECTORS_INPUT,
)
from annoseq.tokenization.hash_features import NGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnx

    from annoseq.models.tagger import Tagger

_OPSET = 20
_DOMAIN = "annoseq"
_MAX_BYTES = 2_000_000_000
"""Size of weights that fits into one ONNX file, which protocol buffers limit to 2 GiB."""

# A loop over the tokens in the graph: ONNX's own LSTM would compute the input gates of a token for
# each of its occurrences, which takes 1.7 times as long (batches of 16,384 tokens of MEDDOCAN).
_RUN_LSTMS = """
<domain: "annoseq", opset_import: ["" : 20]>
RunLstms (gates, places, weights) => (outputs)
{
    rows = Shape <start: int = 1> (places)
    width = Shape <start: int = 1, end: int = 2> (weights)
    size = Concat <axis: int = 0> (rows, width)
    zeros = ConstantOfShape <value: tensor = float[1] {0.0}> (size)
    last_hidden, last_cell, outputs = Scan <num_scan_inputs: int = 1, body: graph = step
        (float[d, b, h] hidden, float[d, b, h] cell, int64[d, b] at)
        => (float[d, b, h] new_hidden, float[d, b, h] new_cell, float[d, b, h] output)
        {
            from_inputs = Gather (gates, at)
            from_hidden = MatMul (hidden, weights)
            summed = Add (from_inputs, from_hidden)
            input, forget, update, out = Split <axis: int = 2, num_outputs: int = 4> (summed)
            input_gate = Sigmoid (input)
            forget_gate = Sigmoid (forget)
            output_gate = Sigmoid (out)
            candidate = Tanh (update)
            kept = Mul (forget_gate, cell)
            added = Mul (input_gate, candidate)
            new_cell = Add (kept, added)
            squashed = Tanh (new_cell)
            new_hidden = Mul (output_gate, squashed)
            output = Identity (new_hidden)
        }> (zeros, zeros, places)
}
"""
"""LSTMs of both directions: gates (W, 4 H), places (T, 2, B), weights (2, H, 4 H) to (T, 2, B, H).

The gates are in torch's order: input, forget, cell, output.
"""


def export_graph(tagger: Tagger) -> onnx.ModelProto:
    """Export the network of a tagger.

    Raises:
        OptionError: the `onnx` extra is not installed.
        ModelError: the weights do not fit into one file.
    """
    check_exporter()
    if sum(weights.nbytes for weights in tagger.state_dict().values()) > _MAX_BYTES:
        raise ModelError(
            "the weights of this model take more than 2 GB, which is the most that an ONNX file "
            "can hold. Use the model folder."
        )
    import onnx.inliner
    import onnx.parser

    network = _ExportedTagger(tagger.eval())
    examples = network.examples()
    outputs = [EMBEDDED, *([STATES] if network.context else []), SCORES]
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(example for example, _ in examples.values()),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            external_data=False,
            input_names=list(examples),
            output_names=outputs,
            dynamic_shapes=(tuple(varying for _, varying in examples.values()),),
        )
    assert program is not None
    model = program.model_proto
    if all(opset.domain != _DOMAIN for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    model.functions.append(onnx.parser.parse_function(_RUN_LSTMS))
    return onnx.inliner.inline_local_functions(model)


def check_exporter() -> None:
    """Raise `OptionError` if a package is missing that the export needs."""
    for name in ("onnx", "onnxruntime", "onnxscript"):
        try:
            import_module(name)
        except ImportError as error:
            raise OptionError(
                f"the export needs {name}, which is not installed. Run: pip install 'annoseq[onnx]'"
            ) from error


def quantize_int8(graph: onnx.ModelProto) -> bytes:
    """Return the graph with weights of 8 bits, whose products are computed in integers.

    Activations are quantized as they come (dynamic quantization). The recurrent weights of LSTMs
    stay as they are: their errors would add up over the tokens.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Unsigned weights: products of unsigned and signed bytes overflow on CPUs without VNNI.
    with TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            graph,
            path,
            op_types_to_quantize=["Conv", "Gather", "MatMul"],
            weight_type=QuantType.QUInt8,
        )
        return path.read_bytes()


class _ExportedTagger(nn.Module):
    """The parts of a tagger's graph as one module, whose results do not depend on each other.

    The first maps hashed features to token vectors (W, D): for each kind, the rows of the tables
    of all kinds, one after the other, that are features of each token (W, F), padded with their
    last row, which is zero. A tagger with a file of word vectors reads `word_vectors` (W, V + 1)
    beside them. The second is a pre-trained encoder, if there is one: ids and mask (N, S) of
    windows of sub-words to states (N, S, H). The last maps the `vectors` (W, D) of the tokens in
    the `places` (B, T) of rows of `lengths` (B,), with the `contextual` vectors (B, T, H) of the
    encoder, to the scores of the head. For an LSTM without such an encoder the vectors are its
    input gates, D = 8 H, computed once for each distinct token.
    """

    table: Tensor

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.encoder = tagger.encoder
        self.head = tagger.head
        self.projection = tagger.embedding.projection
        self.pretrained = None if tagger.pretrained is None else tagger.pretrained.network
        self.context = 0 if tagger.pretrained is None else tagger.pretrained.width
        self.columns = 0 if self.projection is None else self.projection.in_features
        self.kinds = list(tagger.embedding.kinds)
        self.width = tagger.embedding.width
        self.gates = None
        if isinstance(self.encoder, BiLstmEncoder) and self.pretrained is None:
            self.gates = (self.encoder.forwards[0], self.encoder.backwards[0])
            self.width = 2 * self.encoder.forwards[0].get_parameter("weight_ih_l0").shape[0]
        tables: list[Tensor] = [table.get_parameter("weight") for table in tagger.embedding.tables]
        padding = torch.zeros(1, tables[0].shape[1])
        self.register_buffer("table", torch.cat([*tables, padding]).detach())

    def input_names(self) -> list[str]:
        """Return the names of the inputs of `forward`, in order."""
        return [
            *(FEATURE_INPUTS[kind] for kind in self.kinds),
            *([VECTORS_INPUT] if self.columns else []),
            *(ENCODER_INPUTS if self.context else []),
            *SCORE_INPUTS,
            *([CONTEXT_INPUT] if self.context else []),
        ]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the vectors (W, D) of the first part, states of the second, and the scores."""
        by_name = dict(zip(self.input_names(), inputs, strict=True))
        features = [by_name[FEATURE_INPUTS[kind]] for kind in self.kinds]
        embedded = self._embed(features, by_name.get(VECTORS_INPUT))
        vectors, places, lengths = (by_name[name] for name in SCORE_INPUTS)
        if self.pretrained is None:
            return embedded, self._score(vectors, places, lengths)
        ids, mask = (by_name[name] for name in ENCODER_INPUTS)
        states = self.pretrained(input_ids=ids, attention_mask=mask).last_hidden_state
        together = torch.cat([F.embedding(places, vectors), by_name[CONTEXT_INPUT]], 2)
        return embedded, states, self._score_encoded(together, lengths)

    def _embed(self, features: Sequence[Tensor], word_vectors: Tensor | None) -> Tensor:
        parts = []
        for kind, rows in zip(self.kinds, features, strict=True):
            summed = F.embedding(rows, self.table).sum(1)
            if kind == NGRAMS:
                counts = (rows != len(self.table) - 1).sum(1, keepdim=True)
                summed = summed / counts.clamp(min=1)
            parts.append(summed)
        if self.projection is not None:
            parts.append(self.projection(word_vectors))
        vectors = torch.cat(parts, 1)
        return vectors if self.gates is None else _input_gates(*self.gates, vectors)

    def _score(self, vectors: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        if isinstance(self.encoder, BiLstmEncoder):
            encoded = _encode_lstms(self.encoder, vectors, places, lengths)
            return self.head.scores(encoded)
        return self._score_encoded(vectors[places], lengths)

    def _score_encoded(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the scores of rows of vectors (B, T, ...)."""
        if isinstance(self.encoder, BiLstmEncoder):
            layers = (self.encoder.forwards[0], self.encoder.backwards[0])
            gates = _input_gates(*layers, vectors.flatten(0, 1))
            rows, steps = vectors.shape[:2]
            places = torch.arange(rows * steps).view(rows, steps)
            return self.head.scores(_encode_lstms(self.encoder, gates, places, lengths))
        return self.head.scores(self.encoder(vectors, lengths))

    def examples(self) -> dict[str, tuple[Tensor, dict[int, Any]]]:
        """Return a small input and its dimensions that vary, by name.

        No two dimensions are equal by chance.
        """
        new, tokens, rows, width, windows, subwords = map(
            torch.export.Dim, ("new_tokens", "tokens", "rows", "width", "windows", "subwords")
        )
        examples: dict[str, tuple[Tensor, dict[int, Any]]] = {
            VECTORS_INPUT: (torch.zeros(3, self.columns), {0: new}),
            ENCODER_INPUTS[0]: (torch.ones(5, 6, dtype=torch.long), {0: windows, 1: subwords}),
            ENCODER_INPUTS[1]: (torch.ones(5, 6, dtype=torch.long), {0: windows, 1: subwords}),
            SCORE_INPUTS[0]: (torch.zeros(7, self.width), {0: tokens}),
            SCORE_INPUTS[1]: (torch.arange(4).repeat(2, 5)[:, :9] % 7, {0: rows, 1: width}),
            SCORE_INPUTS[2]: (torch.tensor([9, 4]), {0: rows}),
            CONTEXT_INPUT: (torch.zeros(2, 9, self.context), {0: rows, 1: width}),
        }
        for kind in self.kinds:
            name = FEATURE_INPUTS[kind]
            rows_of_table = torch.arange(3 * (kind + 10)).view(3, -1)
            examples[name] = (rows_of_table, {0: new, 1: torch.export.Dim(name)})
        return {name: examples[name] for name in self.input_names()}


def _encode_lstms(encoder: BiLstmEncoder, gates: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
    """Encode rows (B, T) of `places` in the input gates (W, 8 H) of the first layer as (B, T, 2 H).

    Both directions take their steps together.
    """
    rows, steps = places.shape
    backwards = (lengths.unsqueeze(1) - 1 - torch.arange(steps)).clamp(min=0)
    encoded = gates
    for number, layers in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        if number:
            gates = _input_gates(*layers, encoded.flatten(0, 1))
            places = torch.arange(rows * steps).view(rows, steps)
        both = torch.stack([2 * places, 2 * places.gather(1, backwards) + 1])
        weights = torch.stack([layer.get_parameter("weight_hh_l0").T for layer in layers])
        outputs = torch.onnx.ops.symbolic(
            f"{_DOMAIN}::RunLstms",
            (gates.view(-1, weights.shape[2]), both.permute(2, 0, 1), weights),
            dtype=gates.dtype,
            shape=(steps, 2, rows, weights.shape[1]),
            version=1,
        )  # (T, 2, B, H)
        ahead, behind = outputs.permute(1, 2, 0, 3).unbind(0)
        turned = backwards.unsqueeze(2).expand(-1, -1, behind.shape[2])
        encoded = torch.cat([ahead, behind.gather(1, turned)], 2)
    return encoded


def _input_gates(forwards: nn.Module, backwards: nn.Module, vectors: Tensor) -> Tensor:
    """Return the contribution (W, 8 H) of vectors (W, D) to the gates of both directions."""
    layers = (forwards, backwards)
    weights = torch.cat([layer.get_parameter("weight_ih_l0") for layer in layers])
    biases = [
        layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0") for layer in layers
    ]
    # A product and a sum: onnxruntime does not quantize the two as one operator.
    return vectors @ weights.T + torch.cat(biases)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter logs and warns of its own workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
