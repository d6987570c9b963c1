"""Parts mapped over Ray: the same bytes as one process, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.config import DeviceConfig
from annoseq.errors import OptionError, OutputError
from annoseq.scale.annotate_part import AnnotateJob
from annoseq.scale.folder_run import LocalEngine, WorkerSpec, check_failures
from annoseq.scale.ray_engine import RayEngine
from tests.cli.command import refusal, run, start
from tests.scale.folders import (
    PLAN,
    annotate_job,
    done_names,
    folder_run,
    outputs,
    write_csv,
    write_parts,
)

if TYPE_CHECKING:
    from annoseq.inference.annotator import Annotator
    from annoseq.scale.annotate_part import AnnotateProcessor
    from annoseq.scale.folder_run import Engine, FolderSummary

pytestmark = [
    pytest.mark.slow,  # a Ray takes ten seconds to start, and each pool of actors five
    pytest.mark.filterwarnings("ignore"),  # Ray's of itself
]


@dataclass(frozen=True)
class FaultyJob(AnnotateJob):
    """Annotates, unless a file tells a worker to die or to refuse to start."""

    faults: str = ""

    def attach(self, annotator: Annotator) -> AnnotateProcessor:
        if Path(self.faults, "refuse").exists():
            raise OptionError("the vectors are not on this machine. Copy them.")
        if Path(self.faults, "break").exists():
            raise RuntimeError("Ms Xanthippe Ames")
        for name in ("die", "always"):
            if Path(self.faults, name).exists():
                before = self._attempts()
                threading.Thread(target=self._die, args=(name, before), daemon=True).start()
        if Path(self.faults, "full").exists():
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        return super().attach(annotator)

    def _die(self, name: str, before: dict[str, str]) -> None:
        """Kill this process when it works at a part, once or always."""
        while self._attempts() == before:
            time.sleep(0.01)
        if name == "die":
            Path(self.faults, name).unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _attempts(self) -> dict[str, str]:
        """Return what is written of the parts that were begun."""
        files = list(Path(self.faults, "begun").glob("*/[!.]*.json"))  # none being written
        files += Path(self.faults, "begun").glob("*/[0-9]/[!.]*.json")
        with suppress(FileNotFoundError):
            return {file.name: file.read_text() for file in files}
        return {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of the sample corpus."""
    folder = tmp_path_factory.mktemp("ray")
    assert run("sample", folder / "pairs.csv", "--rows", 40).code == 0
    options = ("--model", "tagger", "--epochs", 2, "--device", "cpu")
    assert run("train", folder / "pairs.csv", "--out", folder / "model", *options).code == 0
    return folder / "model"


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parts(tmp_path_factory.mktemp("ray-notes") / "in", parts=12, rows=40)


def spec(out: Path, faults: Path | None = None) -> WorkerSpec:
    job = annotate_job()
    fields = {name: getattr(job, name) for name in AnnotateJob.__dataclass_fields__}
    faulty = FaultyJob(**fields, faults=str(faults or ""))
    return WorkerSpec(faulty, str(out), "", DeviceConfig(device="cpu"))


def annotate(engine: Engine, notes: Path, out: Path, faults: Path | None = None) -> FolderSummary:
    todo = folder_run(notes, out)
    return todo.run(engine, spec(out, faults), todo.prepare())


@pytest.fixture(scope="module")
def whole(trained: Path, notes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The output of one process."""
    from annoseq.inference.annotator import Annotator

    out = tmp_path_factory.mktemp("ray-whole") / "out"
    engine = LocalEngine(Annotator.load(trained, device="cpu"))
    assert annotate(engine, notes, out).total("texts") == 480
    return outputs(out)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_write_what_one_process_does(
    workers: int,
    trained: Path,
    notes: Path,
    whole: dict[str, bytes],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    summary = annotate(RayEngine(trained, concurrency=workers), notes, out)
    check_failures(summary)
    assert (len(summary.records), summary.total("texts")) == (12, 480)
    assert outputs(out) == whole


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_that_is_killed_is_replaced(
    trained: Path, notes: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out, faults = tmp_path / "out", tmp_path / "faults"
    faults.mkdir()
    (faults / "die").touch()
    (faults / "begun").symlink_to(out / "_attempts")
    summary = annotate(RayEngine(trained, concurrency=2), notes, out, faults)
    assert not (faults / "die").exists()
    check_failures(summary)
    assert done_names(summary) == sorted(done_names(summary))
    assert outputs(out) == whole


@pytest.mark.usefixtures("ray_cluster")
def test_a_part_that_kills_its_workers_is_given_up(trained: Path, tmp_path: Path) -> None:
    source, out, faults = tmp_path / "in", tmp_path / "out", tmp_path / "faults"
    faults.mkdir()
    (faults / "always").touch()
    (faults / "begun").symlink_to(out / "_attempts")
    write_csv(source / "a.csv", ["Dr. Ames saw a patient."] * 2_000)
    summary = annotate(RayEngine(trained, concurrency=1), source, out, faults)
    assert summary.failures == [
        "a.csv: its worker died 3 times; its texts may be too long for the memory in the worker"
    ]
    (faults / "always").unlink()
    assert annotate(RayEngine(trained, concurrency=1), source, out, faults).failures == []


@pytest.mark.usefixtures("ray_cluster")
def test_workers_that_cannot_start_end_the_run(trained: Path, notes: Path, tmp_path: Path) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / "refuse").touch()
    with pytest.raises(OptionError) as raised:
        annotate(RayEngine(trained), notes, tmp_path / "out", faults)
    assert str(raised.value) == (
        "no worker could start: the vectors are not on this machine. Copy them."
    )
    (faults / "refuse").rename(faults / "break")
    with pytest.raises(OptionError, match=r"no worker could start: RuntimeError") as raised:
        annotate(RayEngine(trained), notes, tmp_path / "out", faults)
    assert "Xanthippe" not in str(raised.value)


@pytest.mark.usefixtures("ray_cluster")
def test_a_corrupt_part_keeps_no_other_from_being_done(trained: Path, tmp_path: Path) -> None:
    source, out = write_parts(tmp_path / "in", parts=5), tmp_path / "out"
    (source / "bad.csv").write_bytes(b"\x1f\x8b broken")
    summary = annotate(RayEngine(trained), source, out)
    assert len(summary.records) == 5
    assert len(summary.failures) == 1
    assert "bad.csv: the gzip compression is damaged or cut off" in summary.failures[0]
    todo = folder_run(source, out)
    skipping = replace(spec(out), skip_bad=True)
    skipped = todo.run(RayEngine(trained), skipping, todo.prepare())
    assert (len(skipped.skipped), skipped.done_before, skipped.failures) == (1, 5, [])


@pytest.mark.usefixtures("ray_cluster")
def test_a_full_disk_ends_the_run(trained: Path, tmp_path: Path) -> None:
    source, out, faults = tmp_path / "in", tmp_path / "out", tmp_path / "faults"
    faults.mkdir()
    (faults / "full").touch()
    write_csv(source / "a.csv", ["Dr. Ames saw a patient."] * 500)
    with pytest.raises(OutputError, match=r"parts/a.jsonl cannot be written: File too large"):
        annotate(RayEngine(trained), source, out, faults)
    (faults / "full").unlink()
    assert annotate(RayEngine(trained), source, out, faults).total("texts") == 500


@pytest.mark.usefixtures("ray_cluster")
def test_more_workers_than_cpus_are_cut_and_told(
    trained: Path, notes: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    told: list[str] = []
    engine = RayEngine(trained, concurrency=40, note=told.append)
    summary = annotate(engine, notes, tmp_path / "out")
    check_failures(summary)
    assert told == [
        "--concurrency 40: there is room for 2 workers (one CPU is left to Ray, which would wait "
        "for ever without it)"
    ]
    write_csv(notes / "x" / "new.csv", ["Dr. Bond"])
    try:
        told.clear()
        assert annotate(engine, notes, tmp_path / "out").total("texts") == 481
    finally:
        (notes / "x" / "new.csv").unlink()
    assert told[1] == (
        "1 part to do for 2 workers: a part is the least that a worker does. Split the files to "
        "use more workers."
    )
    with pytest.raises(OptionError, match=r"--gpus-per-worker 1: the cluster has 0 GPUs."):
        annotate(RayEngine(trained, gpus_per_worker=1), notes, tmp_path / "other")


def test_an_interrupted_driver_goes_on(
    trained: Path, notes: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--device", "cpu", "--format", "jsonl", "--chunk-size", 4, "--engine", "ray")
    first = ("annotate", trained, notes, "--out", out, *options, "--concurrency", 1)
    for by in (signal.SIGKILL, signal.SIGINT):
        done = len(list((out / "manifest").rglob("*.json")))
        command = start(*first)
        while len(list((out / "manifest").rglob("*.json"))) == done:
            assert command.poll() is None, command.communicate()
            time.sleep(0.01)
        command.send_signal(by)
        _, err = command.communicate(timeout=120)
    assert command.returncode == 130
    assert "interrupted. Run the same command again to go on with what is missing." in err
    assert "Traceback" not in err
    finished = start(*first)
    _, err = finished.communicate(timeout=300)
    assert finished.returncode == 0, err
    assert "12 parts (" in err
    assert {name: content for name, content in outputs(out).items() if name != "config.json"} == {
        name: content for name, content in whole.items() if name != "config.json"
    }


def test_a_cluster_that_does_not_answer_is_named(
    trained: Path, notes: Path, tmp_path: Path
) -> None:
    options = ("--engine", "ray", "--address", "127.0.0.1:1")
    message = refusal(run("annotate", trained, notes, "--out", tmp_path / "out", *options))
    assert message.startswith("--address 127.0.0.1:1: no Ray cluster answers there. Start one")


def test_ray_is_private() -> None:
    from annoseq.scale.ray_engine import import_ray

    import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert PLAN
