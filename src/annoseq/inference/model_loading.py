"""Loading of models: a model folder is run by torch, an ONNX file by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.config import DeviceConfig
from annoseq.errors import ModelError, OptionError
from annoseq.inference.onnx_predictor import OnnxPredictor
from annoseq.models.model_config import CARD_FILE, ENSEMBLE_FILE
from annoseq.models.onnx_model import OnnxModel, open_session, read_metadata

if TYPE_CHECKING:
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.models.ensemble_folder import EnsembleModel
    from annoseq.models.serialization import TrainedModel


def load_model(
    path: str | Path, *, vectors: str | Path | None = None
) -> TrainedModel | EnsembleModel | OnnxModel:
    """Read a model folder, the folder of an ensemble, or an ONNX file.

    `vectors` is the word-vector file that a tagger was trained with, if it has been moved.

    Raises:
        ModelError: a file is missing, damaged, or of another version, or torch is missing, which a
            model folder needs.
        OptionError: onnxruntime is missing, or `vectors` was given, and the model reads none.
        VectorsError: the word-vector file cannot be read, or is not that of training.
    """
    if Path(path).is_file() or Path(path).suffix.lower() == ".onnx":
        return OnnxModel.load(path, vectors=vectors)
    if (Path(path) / ENSEMBLE_FILE).exists():
        return _load_ensemble(path, vectors=vectors)
    return load_folder(path, vectors=vectors)


def _load_ensemble(path: str | Path, *, vectors: str | Path | None) -> EnsembleModel:
    _check_torch(path)
    from annoseq.models.ensemble_folder import EnsembleModel

    return EnsembleModel.load(path, vectors=vectors)


def load_folder(path: str | Path, *, vectors: str | Path | None = None) -> TrainedModel:
    """Read a model folder; `load_model` describes `vectors` and the errors."""
    _check_torch(path)
    from annoseq.models.serialization import TrainedModel

    return TrainedModel.load(path, vectors=vectors)


def _check_torch(path: str | Path) -> None:
    """Raise `ModelError` where torch, which runs model folders, is not installed."""
    try:
        import annoseq.models.serialization  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "safetensors"}:  # one may be missing with the other
            raise
        raise ModelError(
            f"{path}: a model folder needs torch, which is not installed. Run: pip install "
            "annoseq; or give an ONNX file, which `annoseq export onnx` writes where torch is."
        ) from error


def read_card(path: str | Path) -> str:
    """Return the model card of a folder, which it need not have, or of an ONNX file.

    Raises:
        ModelError: the card cannot be read.
    """
    if Path(path).is_file():
        return read_metadata(Path(path), open_session(Path(path))).card
    card = Path(path) / CARD_FILE
    try:
        return card.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ModelError(
            f"{card} cannot be read: {error.strerror}. Make it readable, or remove it."
        ) from error


def open_predictor(
    model: TrainedModel | EnsembleModel | OnnxModel, *, device: DeviceConfig | str | None
) -> tuple[SpanPredictor, str]:
    """Return the predictor of a model on a device, and the name of the device.

    Raises:
        OptionError: the device is not available, or does not support the precision.
    """
    config = DeviceConfig.of(device)
    if isinstance(model, OnnxModel):
        _check_cpu(config)
        return OnnxPredictor(model), "cpu"
    # Imported here because they import torch.
    from annoseq.devices import ComputeDevice
    from annoseq.inference.ensemble_predictor import EnsemblePredictor
    from annoseq.inference.network_predictors import build_predictor
    from annoseq.models.ensemble_folder import EnsembleModel

    compute = ComputeDevice.select(config)
    if isinstance(model, EnsembleModel):
        return EnsemblePredictor.of(model, compute), str(compute.device)
    predictor = build_predictor(model.network, model.tokenizer, compute, bounds_cache=True)
    return predictor, str(compute.device)


def _check_cpu(config: DeviceConfig) -> None:
    for option, given, known in (
        ("--device", config.device, {"auto", "cpu"}),
        ("--precision", config.precision, {"auto", "float32"}),
    ):
        if given not in known:
            raise OptionError(
                f"{option} {given}: an ONNX file is run on the CPU, in the precision that it was "
                f"exported in. Leave {option} off, or give the model folder."
            )
