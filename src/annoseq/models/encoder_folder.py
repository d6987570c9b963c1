"""Folders of pre-trained encoders: a public one to begin with, and the tuned one of a model.

Weights are read from safetensors only, and code that comes with a model is never run. The folder
`encoder/` of a model can be read by transformers, and be the beginning of another training.

encoder/
├── config.json          configuration of the network, as transformers writes it
├── model.safetensors    tuned weights
├── tokenizer.json       tokenizer of sub-words
└── NOTICE.txt           origin and licence of the weights that training began with
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.errors import EncoderError, count_noun
from annoseq.models.model_config import ENCODER_FOLDER, EncoderRecord
from annoseq.models.pretrained_encoder import PretrainedEncoder
from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG, _WEIGHTS, _TOKENIZER, _NOTICE = (
    "config.json", "model.safetensors", "tokenizer.json", "NOTICE.txt",
)  # fmt: skip
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md", "LICENSE*", "NOTICE*"]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_LICENSE_FILES = ("LICENSE*", "LICENCE*", "NOTICE*", "COPYING*")
_LICENSE_FIELD = re.compile(r"^license:\s*(\S.*)$", re.MULTILINE)
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def open_encoder(source: str | Path, *, layers: int | None = None) -> PretrainedEncoder:
    """Read a pre-trained encoder from a folder, or from the Hugging Face hub by its name.

    With `layers`, only its first layers are used.

    Raises:
        EncoderError: transformers is not installed, there is no such encoder, its weights are not
            safetensors, or it is of a kind that is not supported.
    """
    transformers = _import_transformers()
    folder = _find_folder(source)
    name = folder.resolve().name if folder == Path(source) else str(source)
    if name == ENCODER_FOLDER:  # of a model of ours
        name = f"{folder.resolve().parent.name}/{name}"
    weights = _find_weights(folder)
    with quiet(), _explained(f"--encoder {source}"):
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        _check_kind(config, source, layers=layers)
        network = _read_network(transformers, folder, config)
        tokenizer = _read_tokenizer(transformers, folder)
    rows = network.get_input_embeddings().num_embeddings
    if tokenizer.size > rows:
        raise EncoderError(
            f"--encoder {source}: its tokenizer has {tokenizer.size:,} sub-words, and its weights "
            f"{rows:,}. Give a folder whose files belong together."
        )
    license_name, notice = _read_license(folder)
    record = EncoderRecord(
        name=name,
        model_type=config.model_type,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        fingerprint=_fingerprint(weights),
        license=license_name,
    )
    return PretrainedEncoder(network, tokenizer, record=record, notice=notice)


def fingerprint_encoder(source: str | Path) -> str:
    """Return the SHA-256 of the weights of an encoder, a folder or a name on the hub.

    Raises:
        EncoderError: there is no such encoder, or it has only pickles.
    """
    _import_transformers()  # names it if it is missing
    return _fingerprint(_find_weights(_find_folder(source)))


def write_encoder(encoder: PretrainedEncoder, folder: Path) -> None:
    """Write a tuned encoder into the folder of a model, all but its weights.

    Raises:
        OSError: a file cannot be written.
    """
    network: Any = encoder.network
    record = encoder.record
    folder.mkdir()
    config = json.loads(network.config.to_json_string(use_diff=False))
    config["_name_or_path"] = record.name  # and not a path of this machine
    (folder / _CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / _TOKENIZER).write_text(encoder.tokenizer.text, encoding="utf-8")
    origin = f"Fine-tuned from {record.name}, sha256 {record.fingerprint}.\n"
    licence = f"Licence of the original: {record.license}\n"
    notice = f"{origin}{licence}\n{encoder.notice}".rstrip() + "\n"
    (folder / _NOTICE).write_text(notice, encoding="utf-8")


def build_encoder_of_model(folder: Path, record: EncoderRecord) -> PretrainedEncoder:
    """Build the tuned encoder of a model folder, without its weights.

    Raises:
        EncoderError: transformers is not installed, or the configuration is not one of its.
        OSError: a file cannot be read.
        ValueError: a file is not what `write_encoder` wrote.
    """
    transformers = _import_transformers()
    folder = folder / ENCODER_FOLDER
    with quiet(), _explained(str(folder)):
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        config.dtype = "float32"
        network = transformers.AutoModel.from_config(config, trust_remote_code=False)
    _remove_pooler(network)
    tokenizer = EncoderTokenizer((folder / _TOKENIZER).read_text(encoding="utf-8"))
    _, _, notice = (folder / _NOTICE).read_text(encoding="utf-8").partition("\n\n")
    return PretrainedEncoder(network, tokenizer, record=record, notice=notice)


def _import_transformers() -> Any:
    """Import transformers.

    Raises:
        EncoderError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise EncoderError(
            "A pre-trained encoder needs transformers, which is not installed. "
            "Run: pip install 'annoseq[encoders]'"
        ) from error
    return transformers


def _find_folder(source: str | Path) -> Path:
    """Return the folder of an encoder, downloaded if `source` is a name on the hub.

    Raises:
        EncoderError: there is neither a folder nor an encoder of that name.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if isinstance(source, Path) or folder.exists() or not _HUB_NAME.fullmatch(source):
        raise EncoderError(
            f"--encoder {source}: there is no such folder. Give a folder with the files of a "
            "pre-trained encoder, or its name on the Hugging Face hub."
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=_HUB_FILES))
    except Exception as error:  # of the network, of the hub, of the cache: each library has its own
        raise EncoderError(
            f"--encoder {source}: there is no such folder here, and the Hugging Face hub has no "
            "such encoder or cannot be reached. Download its files where it can be, and give "
            "their folder."
        ) from error


def _find_weights(folder: Path) -> list[Path]:
    """Return the files of weights.

    Raises:
        EncoderError: there are none, or only pickles.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if weights and (folder / _CONFIG).is_file():
        return weights
    if not (folder / _CONFIG).is_file():
        raise EncoderError(
            f"--encoder {folder}: there is no {_CONFIG} in it. Give a folder with the files of a "
            "pre-trained encoder, as transformers' save_pretrained writes them."
        )
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    found = f"only {pickles[0]}, a pickle, which can run code" if pickles else "none"
    raise EncoderError(
        f"--encoder {folder}: its weights must be .safetensors, and there is {found}. Give a "
        "version with model.safetensors, or convert it where you trust the file: load it with "
        "transformers, and save_pretrained it."
    )


def _check_kind(config: Any, source: str | Path, *, layers: int | None) -> None:
    """Check that a configuration is of an encoder of text, and cut it to its first layers."""
    if getattr(config, "is_encoder_decoder", False):
        problem = "has an encoder and a decoder"
    elif not all(hasattr(config, name) for name in ("vocab_size", "hidden_size")):
        problem = "does not read text"
    elif layers is not None and layers > config.num_hidden_layers:
        raise EncoderError(
            f"--tagger.encoder-layers {layers} was given, and {source} has "
            f"{count_noun(config.num_hidden_layers, 'layer')}. Give at most that many."
        )
    else:
        if layers is not None:
            config.num_hidden_layers = layers
            if getattr(config, "layer_types", None):
                config.layer_types = config.layer_types[:layers]
        return
    raise EncoderError(
        f"--encoder {source}: a {config.model_type} model {problem}. Give an encoder such as BERT, "
        "RoBERTa, XLM-R, DeBERTa, MPNet or ModernBERT."
    )


def _read_network(transformers: Any, folder: Path, config: Any) -> Any:
    """Read the weights of a network.

    Raises:
        EncoderError: weights are missing.
    """
    import torch

    network, info = transformers.AutoModel.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise EncoderError(
            f"--encoder {folder}: its weights lack {count_noun(len(missing), 'tensor')} of a "
            f"{config.model_type}, the first of which is {missing[0]}. Give the files of a whole "
            "encoder."
        )
    _remove_pooler(network)
    return network


def _remove_pooler(network: Any) -> None:
    """Remove the weights that only sentence classification uses."""
    if getattr(network, "pooler", None) is not None:
        network.pooler = None


def _read_tokenizer(transformers: Any, folder: Path) -> EncoderTokenizer:
    """Read `tokenizer.json`, or convert what older folders have in its place.

    Raises:
        EncoderError: there is no tokenizer that can be read, or it has no vocabulary.
    """
    path = folder / _TOKENIZER
    try:
        if path.is_file():
            tokenizer = EncoderTokenizer(path.read_text(encoding="utf-8"))
        else:
            converted = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            tokenizer = EncoderTokenizer(converted.backend_tokenizer.to_str())
    except Exception as error:  # converters raise whatever goes wrong in them
        raise EncoderError(
            f"--encoder {folder}: its {_TOKENIZER} is missing or damaged. Write it by "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers."
        ) from error
    if not tokenizer.has_sub_words:  # transformers makes one of special symbols out of nothing
        raise EncoderError(
            f"--encoder {folder}: its tokenizer knows special symbols alone, and no word. Add the "
            f"{_TOKENIZER} of the encoder, or the file of its vocabulary, such as vocab.txt."
        )
    return tokenizer


def _read_license(folder: Path) -> tuple[str, str]:
    """Return the name of the licence, and the text of its file or of the notice."""
    files = sorted({path for pattern in _LICENSE_FILES for path in folder.glob(pattern)})
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    readme = folder / "README.md"
    about = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    if found := _LICENSE_FIELD.search(about):
        return f"{found[1].strip()}, as its README.md says", "\n\n".join(texts)
    return ("see below" if texts else "not stated in its folder"), "\n\n".join(texts)


def _fingerprint(weights: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn errors of transformers into one line."""
    try:
        yield
    except (EncoderError, MemoryError):
        raise
    except Exception as error:  # transformers raises what its parts raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EncoderError(
            f"{where}: transformers cannot read this encoder: {reason[:200]} Its own code is never "
            "run. Give an encoder that transformers has the code of, with all of its files."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars, reports and warnings of transformers."""
    from transformers.utils import logging as reports

    before, has_bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # older versions use what torch has deprecated
            yield
    finally:
        reports.set_verbosity(before)
        if has_bars:
            reports.enable_progress_bar()
