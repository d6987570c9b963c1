from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from threadpoolctl import ThreadpoolController

from annoseq import devices
from annoseq.config import DeviceConfig
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

HAS_CUDA, HAS_MPS = torch.cuda.is_available(), torch.backends.mps.is_available()
CPU = DeviceConfig(device="cpu")

needs_no_accelerator = pytest.mark.skipif(HAS_CUDA or HAS_MPS, reason="has an accelerator")
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")


@needs_no_accelerator
def test_without_an_accelerator_the_cpu_is_selected() -> None:
    assert ComputeDevice.select() == ComputeDevice(torch.device("cpu"), torch.float32)


@needs_cuda
def test_an_accelerator_is_selected() -> None:
    chosen = ComputeDevice.select()
    assert chosen.device.type == "cuda"
    assert chosen.dtype == (torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32)
    assert ComputeDevice.select(DeviceConfig(device="cuda:0")).device == torch.device("cuda:0")


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_the_cpu_computes_in_float32(precision: str) -> None:
    config = DeviceConfig.model_validate({"device": "cpu", "precision": precision})
    assert ComputeDevice.select(config) == ComputeDevice(torch.device("cpu"), torch.float32)


@needs_no_accelerator
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_an_unavailable_device_is_refused(device: str) -> None:
    with pytest.raises(OptionError) as caught:
        ComputeDevice.select(DeviceConfig(device=device))
    assert str(caught.value) == (
        f"--device {device} was asked for, but torch finds no accelerator here. "
        "Use --device auto, or install a build of torch for that device."
    )


@needs_cuda
def test_a_device_beyond_the_last_is_refused() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(OptionError, match=f"torch finds {count} x cuda here"):
        ComputeDevice.select(DeviceConfig(device=f"cuda:{count}"))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_needs_a_gpu(precision: str) -> None:
    config = DeviceConfig.model_validate({"device": "cpu", "precision": precision})
    with pytest.raises(OptionError) as caught:
        ComputeDevice.select(config)
    assert str(caught.value) == (
        f"--precision {precision} needs a GPU; the CPU computes in float32 here."
    )


def test_on_the_cpu_neither_autocast_nor_a_scaler_changes_a_number() -> None:
    compute = ComputeDevice.select(CPU)
    matrix = torch.full((2, 2), 0.1)
    with compute.running():
        product = matrix @ matrix
    assert product.dtype == torch.float32
    assert torch.equal(product, matrix @ matrix)
    scaler = compute.scaler()
    assert not scaler.is_enabled()
    assert torch.equal(scaler.scale(product), product)


def test_float16_alone_is_scaled() -> None:
    cpu = torch.device("cpu")
    assert ComputeDevice(cpu, torch.float16).scaler().is_enabled()
    assert not ComputeDevice(cpu, torch.bfloat16).scaler().is_enabled()


def test_lower_precision_is_used_inside_the_context_only() -> None:
    matrix = torch.ones(2, 2)
    with ComputeDevice(torch.device("cpu"), torch.bfloat16).running():
        assert (matrix @ matrix).dtype == torch.bfloat16
    assert (matrix @ matrix).dtype == torch.float32


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    compute = ComputeDevice.select(CPU)
    before = compute.peak_memory()
    assert 10**7 < before < 10**12  # Python with torch is larger than 10 MB
    block = bytearray(b"x" * 10**8)
    assert compute.peak_memory() >= max(before, len(block))


def start_as(monkeypatch: pytest.MonkeyPatch, *, local_rank: int, processes: int = 2) -> None:
    """Say what torchrun says to a process that it starts."""
    variables = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
        "RANK": local_rank,
        "LOCAL_RANK": local_rank,
        "WORLD_SIZE": processes,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int, *, kind: str = "cuda") -> None:
    """Let torch find some GPUs that are not there."""
    gpu = torch.device(kind)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: gpu)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_each_of_several_processes_takes_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    with_gpus(monkeypatch, 2)
    start_as(monkeypatch, local_rank=1)
    chosen = ComputeDevice.select(DeviceConfig(device=device))
    assert chosen == ComputeDevice(torch.device("cuda", 1), torch.bfloat16)


def test_several_processes_can_use_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    start_as(monkeypatch, local_rank=1)
    assert ComputeDevice.select(CPU).device == torch.device("cpu")


@pytest.mark.parametrize(("device", "kind"), [("cuda:1", "cuda"), ("mps", "mps"), ("auto", "mps")])
def test_several_processes_do_not_share_a_device(
    monkeypatch: pytest.MonkeyPatch, device: str, kind: str
) -> None:
    with_gpus(monkeypatch, 2, kind=kind)
    start_as(monkeypatch, local_rank=0)
    with pytest.raises(OptionError) as caught:
        ComputeDevice.select(DeviceConfig(device=device))
    named = "cuda:1" if device == "cuda:1" else "mps"
    assert str(caught.value) == (
        f"several processes cannot train on the one device {named}. Use --device cuda, of which "
        "each takes its own, or --device cpu, or start one process."
    )


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    start_as(monkeypatch, local_rank=1)
    with pytest.raises(OptionError) as caught:
        ComputeDevice.select()
    assert str(caught.value) == (
        "process 2 of this machine needs a GPU of its own, but torch finds 1. Start as many "
        "processes as there are GPUs: torchrun --nproc-per-node gpu."
    )


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    torch.set_num_threads(2)
    monkeypatch.setattr(devices, "_DEFAULT_THREADS", 2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_one_thread_of_a_cpu_is_used_and_the_others_given_back() -> None:
    compute = ComputeDevice(torch.device("cpu"), torch.float32)
    with compute.one_thread():
        assert torch.get_num_threads() == 1
        with compute.running():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError), compute.one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_numpy_has_one_thread_as_well() -> None:
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=2):
        with ComputeDevice(torch.device("cpu"), torch.float32).running():
            assert {one["num_threads"] for one in blas.info()} == {1}
        assert {one["num_threads"] for one in blas.info()} == {2}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", None])
def test_threads_that_the_user_has_set_are_used(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is None:
        monkeypatch.setattr(devices, "_DEFAULT_THREADS", 4)  # torch.set_num_threads(2)
    else:
        monkeypatch.setenv(variable, "2")
    with ComputeDevice(torch.device("cpu"), torch.float32).running():
        assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_threads_of_a_host_do_not_matter_on_a_gpu() -> None:
    with ComputeDevice(torch.device("cuda"), torch.float32).one_thread():
        assert torch.get_num_threads() == 2
