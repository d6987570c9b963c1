"""Ray Data engine: parts mapped over a pool of actors, on this machine or a cluster.

Each row of the dataset is a part, so that no text passes through Ray: workers read and write files
themselves. An actor that dies is started again, and its part with it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.cpu_threads import usable_cores
from annoseq.errors import AnnoseqError, OptionError, count_noun
from annoseq.scale.part_manifest import PartRecord
from annoseq.scale.part_worker import PartOutcome
from annoseq.scale.parts import InputPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from annoseq.scale.folder_run import WorkerSpec

_OBJECT_STORE = 100 << 20
"""Bytes of shared memory of a Ray of our own, besides the model: rows are names of parts."""
_ANSWER_TIMEOUT = 10
"""Seconds."""
_MAX_RESTARTS = 20
"""Deaths of a worker's process, after which the run ends: Ray would start it for ever."""
_PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    # Ray's name for staying on the loopback interface; it is the default on Windows and macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


@dataclass(frozen=True)
class RayEngine:
    """Pool of Ray actors; without an address, Ray is started on this machine and ended after.

    `concurrency` is the number of actors, by default one for each CPU. Each takes a CPU, and
    `gpus_per_worker` of a GPU.
    """

    model: Path
    address: str | None = None
    concurrency: int | None = None
    gpus_per_worker: float = 0.0
    note: Callable[[str], None] = lambda _: None

    def map(self, spec: WorkerSpec, parts: Sequence[InputPart]) -> Iterator[PartOutcome]:
        """Yield the outcome of every part, in the order in which they end.

        Raises:
            OptionError: Ray is not installed, there is no cluster, or a worker cannot start.
        """
        ray = import_ray()
        with self._connected(ray):
            size = self._pool_size(ray, len(parts))
            model = ray.put(_read_files(self.model))
            rows = [{"part": json.dumps(part)} for part in parts]
            dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Actor,
                fn_constructor_args=(spec, self.model.name, [model], uuid.uuid4().hex),
                batch_size=1,
                # One part at a time: a second one, waiting, would be lost with its actor.
                compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
                num_cpus=1,
                num_gpus=self.gpus_per_worker or None,
                ray_remote_args_fn=lambda: {"max_restarts": _MAX_RESTARTS, "max_task_retries": -1},
            )
            try:
                for row in dataset.iter_rows():
                    yield _outcome(row["outcome"])
            except ray.exceptions.RayError as error:
                raise OptionError(_describe_ray_error(error)) from None

    @contextmanager
    def _connected(self, ray: ModuleType) -> Iterator[None]:
        """Connect to the cluster, or start a Ray of our own, unless the program has one."""
        _check_answers(self.address)
        if ray.is_initialized():
            yield
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            workers = self._local_workers()
            options |= {
                # One CPU more than workers: what Ray itself runs must not wait for an actor's.
                "num_cpus": workers + 1,
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE + 2 * _folder_size(self.model),
            }
        try:
            ray.init(self.address, **options)
        except (ConnectionError, ValueError, RuntimeError):
            raise _no_cluster(self.address) from None
        try:
            yield
        finally:
            ray.shutdown()

    def _local_workers(self) -> int:
        return min(self.concurrency or usable_cores(), usable_cores())

    def _pool_size(self, ray: ModuleType, parts: int) -> int:
        """Return the number of actors: no more than CPUs less one, GPUs, and parts.

        Actors that take all CPUs leave none for the tasks of Ray Data: it would wait for ever.
        """
        resources = ray.cluster_resources()
        room = max(1, int(resources.get("CPU", 1)) - 1)
        if self.gpus_per_worker:
            room = min(room, int(resources.get("GPU", 0) / self.gpus_per_worker))
            if room == 0:
                raise OptionError(
                    f"--gpus-per-worker {self.gpus_per_worker:g}: the cluster has "
                    f"{resources.get('GPU', 0):g} GPUs. Leave it off to use CPUs."
                )
        asked = self.concurrency or room
        if asked > room:
            self.note(
                f"--concurrency {asked}: there is room for {count_noun(room, 'worker')} (one CPU "
                "is left to Ray, which would wait for ever without it)"
            )
        size = min(asked, room)
        if parts < size:
            self.note(
                f"{count_noun(parts, 'part')} to do for {count_noun(size, 'worker')}: a part is "
                "the least that a worker does. Split the files to use more workers."
            )
        return min(size, parts)


class _Actor:
    """A worker in an actor: loads the model once, from the object store."""

    def __init__(self, spec: WorkerSpec, name: str, model: Sequence[Any], attempts: str) -> None:
        import ray

        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with tempfile.TemporaryDirectory(prefix="annoseq-") as folder:
            path = Path(folder, name)
            for file, content in ray.get(model[0]).items():
                target = path / file if file else path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            try:
                self._worker = spec.start(path, attempts=attempts)
            except Exception as error:  # noqa: BLE001  # its message may quote what it met
                reason = str(error) if isinstance(error, AnnoseqError) else type(error).__name__
                raise _StartError(reason) from None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        outcomes = []
        for row in batch["part"]:
            outcome = self._worker.process(InputPart(*json.loads(str(row))))
            record = asdict(outcome.record) if outcome.record else None
            outcomes.append(json.dumps([outcome.name, record, outcome.failure, outcome.is_fatal]))
        return {"outcome": outcomes}


class _StartError(RuntimeError):
    """Reason for which a worker could not start."""


def import_ray() -> ModuleType:
    """Import Ray, without telemetry and on the loopback interface where it starts itself.

    Raises:
        OptionError: Ray is not installed.
    """
    for name, value in _PRIVATE.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise OptionError(
            "--engine ray needs Ray, which is not installed. Run: pip install 'annoseq[scale]'"
        ) from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def _check_answers(address: str | None) -> None:
    """Check that something listens at `host:port`: Ray would try for minutes.

    Raises:
        OptionError: nothing does.
    """
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_TIMEOUT).close()
    except (OSError, OverflowError):
        raise _no_cluster(address) from None


def _no_cluster(address: str | None) -> OptionError:
    return OptionError(
        f"--address {address}: no Ray cluster answers there. Start one with `ray start --head`, or "
        "leave --address off to use this machine."
    )


def _outcome(line: str) -> PartOutcome:
    name, record, failure, is_fatal = json.loads(line)
    if record is not None:
        record = PartRecord(**{**record, "labels": tuple(record["labels"])})
    return PartOutcome(name, record, failure, is_fatal)


def _describe_ray_error(error: Exception) -> str:
    """Describe why Ray gave up; the message of an error that is not ours is not passed on."""
    _, mark, ours = str(error).rpartition("_StartError: ")
    if mark:
        return f"no worker could start: {ours.strip().splitlines()[0]}"
    return (
        f"Ray gave up: {type(error).__name__}. Run the same command again to go on; if it ends so "
        "again, use --engine local, which tells more."
    )


def _read_files(model: Path) -> dict[str, bytes]:
    """Return the content of a model's files by their path in its folder, or of its one file."""
    if model.is_file():
        return {"": model.read_bytes()}
    files = sorted(path for path in model.rglob("*") if path.is_file())
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in files}


def _folder_size(model: Path) -> int:
    return sum(path.stat().st_size for path in [model, *model.rglob("*")] if path.is_file())
