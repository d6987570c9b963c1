"""Models of a service by name, and the exchange of one whose folder or file has changed."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.errors import AnnoseqError, OptionError, count_noun, display_name
from annoseq.inference.annotator import Annotator
from annoseq.inference.model_loading import read_card
from annoseq.serving.micro_batcher import BatchLimits, MicroBatcher
from annoseq.serving.security import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from annoseq.config import DeviceConfig
    from annoseq.inference.predictor import Target

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_MAX_TARGETS = 64
"""Thresholds that are kept: a client can ask for any number of targets."""
_LONGEST_RETRY = 120.0
"""Longest pause in seconds before a changed model that could not be loaded is tried again."""

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """Name that requests use, and the folder or ONNX file."""

    name: str
    path: Path

    @classmethod
    def parse(cls, word: str) -> ModelAddress:
        """Parse `NAME=PATH`, or a path, whose last part is then the name.

        Raises:
            OptionError: the name is none.
        """
        name, separator, path = word.partition("=")
        if not separator or "/" in name:
            name, path = Path(word).resolve().name.removesuffix(".onnx"), word
        if not _NAME.fullmatch(name):
            raise OptionError(
                f"found {display_name(name)} as the name of a model. Give a name of letters, "
                "digits, dots, dashes and underscores: NAME=PATH."
            )
        return cls(name, Path(path))


def parse_addresses(words: Iterable[str]) -> list[ModelAddress]:
    """Parse the models of a command line; raises `OptionError` if two have one name."""
    addresses = [ModelAddress.parse(word) for word in words]
    names = [address.name for address in addresses]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(
                f"{count_noun(names.count(name), 'model')} would have the name {name}. Give each "
                "its own: NAME=PATH."
            )
    return addresses


@dataclass(eq=False)
class LoadedModel:
    """A model in memory, with its card; `signature` tells the state of its files."""

    annotator: Annotator
    card: str
    signature: Signature
    loaded_at: float = field(default_factory=time.time)
    _targets: dict[tuple[float | None, float | None], Target | None] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Twelve digits of the checksum of the weights."""
        return self.annotator.fingerprint[:12]

    def target(self, *, recall: float | None, coverage: float | None) -> Target | None:
        """Return the threshold for a target, chosen once.

        Raises:
            OptionError: as `Annotator.choose_target`.
        """
        key = recall, coverage
        if key not in self._targets:
            while len(self._targets) >= _MAX_TARGETS:
                self._targets.pop(next(iter(self._targets)))
            self._targets[key] = self.annotator.choose_target(
                target_recall=recall, target_coverage=coverage
            )
        return self._targets[key]


class ServedModel:
    """A model by its name: what is loaded, and the queue of its texts.

    `current` is replaced as a whole: a request keeps the one that it began with.
    """

    def __init__(
        self,
        address: ModelAddress,
        load: Callable[[Path], LoadedModel],
        *,
        limits: BatchLimits,
        on_batch: Callable[[str, int, int, float], None] = lambda *_: None,
    ) -> None:
        self.name, self.path, self._load = address.name, address.path, load
        self.current = load(address.path)
        self.reloads = self.failures = 0
        self._retry_at = self._pause = 0.0
        self.batcher = MicroBatcher(
            limits,
            name=address.name,
            on_batch=lambda texts, requests, seconds: on_batch(
                address.name, texts, requests, seconds
            ),
        )

    def refresh(self) -> bool:
        """Load the model again if its files have changed; return True if it was exchanged.

        A model that cannot be loaded, or is not complete yet, leaves the old one in its place; it
        is tried again after a while.
        """
        signature = path_signature(self.path)
        if signature == self.current.signature or _now() < self._retry_at:
            return False
        try:
            loaded = self._load(self.path)
        except Exception as error:  # noqa: BLE001  # whatever half a folder makes of loading
            reason = str(error) if isinstance(error, AnnoseqError) else describe_exception(error)
            _LOG.warning("%s has changed, and the old model goes on: %s", self.name, reason)
            self.failures += 1
            self._pause = min(2 * self._pause or 1.0, _LONGEST_RETRY)
            self._retry_at = _now() + self._pause
            return False
        self._pause = self._retry_at = 0.0
        self.reloads += 1
        self.current = loaded
        _LOG.info("%s has changed: model %s answers now", self.name, loaded.fingerprint)
        return True


class ModelStore:
    """Served models by name, the first of which is the default; a thread looks for changes."""

    def __init__(self, models: Sequence[ServedModel], *, watch_seconds: float = 0.0) -> None:
        self.models: Mapping[str, ServedModel] = {model.name: model for model in models}
        self.default = models[0]
        self._seconds = watch_seconds
        self._ends = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="annoseq reload", daemon=True)

    def start(self) -> None:
        """Begin to look for changed models, unless `watch_seconds` is 0."""
        if self._seconds:
            self._watcher.start()

    def close(self) -> None:
        """Finish what was taken, and end the threads."""
        self._ends.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for model in self.models.values():
            model.batcher.close()

    @property
    def is_ready(self) -> bool:
        """True while every model takes requests."""
        return all(model.batcher.is_alive for model in self.models.values())

    def _watch(self) -> None:
        while not self._ends.wait(self._seconds):
            for model in self.models.values():
                model.refresh()


def _now() -> float:
    return time.monotonic()


def load_served(
    path: Path, *, device: DeviceConfig | None = None, vectors: Path | None = None
) -> LoadedModel:
    """Load a model folder or an ONNX file, and annotate a word, so that the first request is fast.

    Raises:
        ModelError: a file is missing or damaged.
        VectorsError: the file of word vectors cannot be read, or is another one.
        OptionError: an option does not go together with the model.
    """
    signature = path_signature(path)
    annotator = Annotator.load(path, device=device, vectors=vectors)
    annotator.annotate(["warm"], advance=lambda _: None)
    return LoadedModel(annotator, read_card(path), signature)


def path_signature(path: Path) -> Signature:
    """Return names, inodes, sizes and times of a file, or of the files of a folder; empty if none.

    A file that is replaced, or written anew, changes it.
    """
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        stats = [(str(file), file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
