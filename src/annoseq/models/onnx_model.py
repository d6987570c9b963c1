"""Taggers in ONNX files: one file with the graph, the tokenizer, the calibration and the card.

The file is an ONNX model that any runtime can open. What annoseq needs besides the graph is JSON in
its metadata, `OnnxMetadata`, written behind the graph's bytes: messages of protocol buffers are
concatenated. So the checksum of the graph is that of the beginning of the file.

Reading needs onnxruntime and no torch.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq._version import __version__
from annoseq.atomic_io import atomic_file
from annoseq.errors import (
    ModelError,
    OptionError,
    describe_older_format,
    describe_validation_error,
)
from annoseq.evaluation.calibration_statistics import CalibrationStatistics
from annoseq.evaluation.span_matching import SpanScore
from annoseq.models.biaffine_decoder import BiaffineDecoder
from annoseq.models.crf_decoder import CrfDecoder
from annoseq.models.model_config import ModelConfig, TrainingHistory
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.models.span_decoder import SpanDecoder

FORMAT: Literal[2] = 2
"""Format number of ONNX files; files of another format are refused."""
METADATA_KEY = "annoseq"
FEATURE_INPUTS = ("words", "ngrams", "affixes", "shapes", "lexicons")
"""Inputs of hashed features, by kind."""
VECTORS_INPUT = "word_vectors"
ENCODER_INPUTS = ("subwords", "mask")
SCORE_INPUTS = ("vectors", "places", "lengths")
CONTEXT_INPUT = "contextual"
EMBEDDED, STATES, SCORES = "embedded", "states", "scores"
"""Names of the inputs and outputs of the graph; `annoseq.models.onnx_graph` describes them."""


class Int8Scores(BaseModel):
    """Spans that a quantized model finds, and the same model in float32, in the same rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    float32: SpanScore
    int8: SpanScore


class EncoderFiles(BaseModel):
    """Files and settings of a pre-trained encoder, besides its graph.

    `tokenizer` is its `tokenizer.json`, `notice` the origin and licence of its weights, `missing`
    the vector (H,) of a token without sub-words; it reads `window` sub-words at a time, and rows
    are padded with `pad_id`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokenizer: str
    notice: str
    missing: list[float]
    window: int
    pad_id: int


class OnnxMetadata(BaseModel):
    """Contents of the metadata: everything but the graph.

    `tokenizer` is what a model folder has as `tagging.json`, `transitions` are those between and
    within spans, if the head is a CRF, `encoder` belongs to a pre-trained one. `graph_bytes` and
    `graph_sha256` are of the file without its metadata.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = FORMAT
    config: ModelConfig
    tokenizer: str
    transitions: tuple[list[list[float]], list[list[float]]] | None
    calibration: CalibrationStatistics | None
    encoder: EncoderFiles | None = None
    card: str
    int8: Int8Scores | None = None
    graph_bytes: int
    graph_sha256: str


@dataclass(frozen=True, repr=False)
class OnnxModel:
    """A tagger in an ONNX file: a session of onnxruntime, the tokenizer and the metadata."""

    session: Any
    tokenizer: TaggerTokenizer
    metadata: OnnxMetadata
    history: TrainingHistory | None = None

    def __repr__(self) -> str:
        precision = "float32" if self.metadata.int8 is None else "int8"
        return f"<OnnxModel: {self.config.network.model}, {self.config.task}, {precision}>"

    @property
    def config(self) -> ModelConfig:
        """Configuration of the model that was exported."""
        return self.metadata.config

    @property
    def calibration(self) -> CalibrationStatistics | None:
        """Calibration statistics, if there are any."""
        return self.metadata.calibration

    @property
    def fingerprint(self) -> str:
        """Checksum of the graph, weights included."""
        return self.metadata.graph_sha256

    @property
    def decoder(self) -> SpanDecoder:
        """Decoder of the scores of the graph."""
        tokenizer = self.tokenizer
        if self.metadata.transitions is None:
            self_nested = tokenizer.length_stats.self_nested
            nests = [label in self_nested for label in tokenizer.labels]
            return BiaffineDecoder(tokenizer.levels, np.array(nests, np.bool_))
        between, within = self.metadata.transitions
        labels = len(tokenizer.labels)
        return CrfDecoder(
            np.array(between, np.float32), np.array(within, np.float32).reshape(4, labels)
        )

    @property
    def vector_width(self) -> int:
        """Width D of token vectors."""
        return int(self._inputs[SCORE_INPUTS[0]].shape[1])

    @property
    def kinds(self) -> list[int]:
        """Kinds of hashed features that are read."""
        return [kind for kind, name in enumerate(FEATURE_INPUTS) if name in self._inputs]

    def run(self, output: str, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return one output of the graph, given what it depends on."""
        found: NDArray[np.float32]
        (found,) = self.session.run([output], {**self._unused, **inputs}, _fetch_only())
        return found

    @cached_property
    def _inputs(self) -> dict[str, Any]:
        return {value.name: value for value in self.session.get_inputs()}

    @cached_property
    def _unused(self) -> dict[str, NDArray[Any]]:
        """Least values of all inputs, as onnxruntime wants those that an output does not need."""
        return {
            name: np.zeros(
                [size if isinstance(size, int) else 1 for size in value.shape],
                np.float32 if value.type == "tensor(float)" else np.int64,
            )
            for name, value in self._inputs.items()
        }

    @classmethod
    def load(cls, path: str | Path, *, vectors: str | Path | None = None) -> OnnxModel:
        """Read a file that `annoseq export onnx` wrote.

        `vectors` is the word-vector file that the tagger was trained with, if it has been moved.

        Raises:
            ModelError: the file cannot be read, is damaged, of another format, or was made by
                another program.
            OptionError: onnxruntime is not installed, or `vectors` was given and the model reads
                none.
            VectorsError: the word-vector file cannot be read, or is not that of training.
        """
        path = Path(path)
        session = open_session(path)
        metadata = read_metadata(path, session)
        config = metadata.config
        token_vectors = None
        if config.vectors is not None:
            token_vectors = config.vectors.open(vectors, model=path)
        elif vectors is not None:
            raise OptionError(f"{path}: this model needs no file of word vectors. Leave it off.")
        try:
            tokenizer = TaggerTokenizer.from_json(
                metadata.tokenizer,
                length_stats=config.length_stats,
                buckets=config.network.tagger.buckets,
                vectors=token_vectors,
            )
        except ValueError as error:
            raise ModelError(f"{path}: damaged: {error}. Export the model again.") from error
        return cls(session, tokenizer, metadata)


def write_onnx_file(
    path: Path, graph: bytes, metadata: OnnxMetadata, *, overwrite: bool = False
) -> OnnxMetadata:
    """Write a graph and its metadata as one ONNX file; return these with size and checksum.

    Raises:
        OutputError: the file exists already, or cannot be written.
    """
    import onnx

    graph_sha256 = hashlib.sha256(graph).hexdigest()
    complete = metadata.model_copy(update={"graph_bytes": len(graph), "graph_sha256": graph_sha256})
    entry = onnx.StringStringEntryProto(key=METADATA_KEY, value=complete.model_dump_json())
    trailer = onnx.ModelProto(metadata_props=[entry])
    with atomic_file(path, overwrite=overwrite) as new, new.open("wb") as file:
        file.write(graph)
        file.write(trailer.SerializeToString())
    return complete


def open_session(model: Path | bytes) -> Any:
    """Open a session of onnxruntime on the CPU, with one thread unless the user has set a number.

    Raises:
        ModelError: the file does not exist, or is no ONNX file.
        OptionError: onnxruntime is not installed.
    """
    if isinstance(model, Path) and not model.is_file():
        raise ModelError(
            f"{model}: there is no such file. Give the file that `annoseq export onnx` wrote."
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise OptionError(
            "a model in an ONNX file needs onnxruntime, which is not installed. "
            "Run: pip install 'annoseq[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() and int(threads) else 1
    options.log_severity_level = 4  # errors are raised, too
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except _session_errors() as error:
        raise ModelError(
            f"{model if isinstance(model, Path) else 'the graph'}: this is no ONNX file, is cut "
            "off, or needs another version of onnxruntime. Give the folder that `annoseq train "
            "--out` wrote, or the file that `annoseq export onnx` wrote."
        ) from error


@cache
def _fetch_only() -> Any:
    """Return options by which only what an output depends on is computed."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _session_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of onnxruntime, which have no base class of their own."""
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoModel",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    )
    return (RuntimeError, *(getattr(state, name) for name in names))


def read_metadata(path: Path, session: Any) -> OnnxMetadata:
    """Return the metadata of a file that is open as a session.

    Raises:
        ModelError: the file was made by another program, is damaged, or has another format.
    """
    content = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if content is None:
        raise ModelError(
            f"{path}: an ONNX file of another program, without the tokenizer and labels that "
            "annoseq writes. Give the file that `annoseq export onnx` wrote."
        )
    if older := describe_older_format(content.encode(), current=FORMAT):
        raise ModelError(f"{path}: {older}. Export the model again.")
    try:
        metadata = OnnxMetadata.model_validate_json(content)
    except ValidationError as error:
        reason = describe_validation_error(error)
        raise ModelError(
            f"{path}: its metadata are damaged or of another version ({reason}); this is annoseq "
            f"{__version__}. Use the version that wrote it, or export the model again."
        ) from error
    _check_graph(path, metadata)
    return metadata


def _check_graph(path: Path, metadata: OnnxMetadata) -> None:
    """Raise `ModelError` if the graph is not the one that was written."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(metadata.graph_bytes)).hexdigest()
    if digest != metadata.graph_sha256:
        raise ModelError(
            f"{path}: the graph is not the one that was written with this tokenizer. Copy the "
            "file again, or export the model again."
        )
