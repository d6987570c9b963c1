from __future__ import annotations

import pytest
import torch

from annoseq.config import DeviceConfig
from annoseq.devices import Compute
from annoseq.errors import OptionError

HAS_CUDA, HAS_MPS = torch.cuda.is_available(), torch.backends.mps.is_available()
CPU = DeviceConfig(device="cpu")

needs_no_accelerator = pytest.mark.skipif(HAS_CUDA or HAS_MPS, reason="has an accelerator")
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")


@needs_no_accelerator
def test_without_an_accelerator_it_is_the_cpu() -> None:
    assert Compute.choose() == Compute(torch.device("cpu"), torch.float32)


@needs_cuda
def test_with_an_accelerator_it_is_taken() -> None:
    chosen = Compute.choose()
    assert chosen.device.type == "cuda"
    assert chosen.dtype == (torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32)
    assert Compute.choose(DeviceConfig(device="cuda:0")).device == torch.device("cuda:0")


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_the_cpu_computes_in_float32(precision: str) -> None:
    config = DeviceConfig.model_validate({"device": "cpu", "precision": precision})
    assert Compute.choose(config) == Compute(torch.device("cpu"), torch.float32)


@needs_no_accelerator
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(OptionError) as caught:
        Compute.choose(DeviceConfig(device=device))
    assert str(caught.value) == (
        f"--device {device} was asked for, but torch finds no accelerator here. "
        "Use --device auto, or install a build of torch for that device."
    )


@needs_cuda
def test_a_device_beyond_the_last_is_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(OptionError, match=f"torch finds {count} x cuda here"):
        Compute.choose(DeviceConfig(device=f"cuda:{count}"))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_needs_a_gpu(precision: str) -> None:
    config = DeviceConfig.model_validate({"device": "cpu", "precision": precision})
    with pytest.raises(OptionError) as caught:
        Compute.choose(config)
    assert str(caught.value) == (
        f"--precision {precision} needs a GPU; the CPU computes in float32 here."
    )


def test_on_the_cpu_neither_autocast_nor_a_scaler_changes_a_number() -> None:
    compute = Compute.choose(CPU)
    matrix = torch.full((2, 2), 0.1)
    with compute.autocast():
        product = matrix @ matrix
    assert product.dtype == torch.float32
    assert torch.equal(product, matrix @ matrix)
    scaler = compute.scaler()
    assert not scaler.is_enabled()
    assert torch.equal(scaler.scale(product), product)


def test_float16_alone_is_scaled() -> None:
    cpu = torch.device("cpu")
    assert Compute(cpu, torch.float16).scaler().is_enabled()
    assert not Compute(cpu, torch.bfloat16).scaler().is_enabled()


def test_lower_precision_is_used_inside_the_context_only() -> None:
    matrix = torch.ones(2, 2)
    with Compute(torch.device("cpu"), torch.bfloat16).autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16
    assert (matrix @ matrix).dtype == torch.float32


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    compute = Compute.choose(CPU)
    before = compute.peak_memory()
    assert 10**7 < before < 10**12  # Python with torch is larger than 10 MB
    block = bytearray(b"x" * 10**8)
    assert compute.peak_memory() >= max(before, len(block))
