"""eole 0.6 as a baseline: its virtual environment, token files, training and decoding commands.

This file needs neither annoseq nor torch. Run by eole's own Python it decodes a file of tokens and
times that without the loading of the model; imported, it prepares and watches everything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EOLE, TORCH = "eole==0.6.0", "torch==2.13.0"
UNDECLARED = "aiohttp"
"""Imported by eole's command, but not among its requirements."""
SPACE = "▁"
STARTED = "Start training loop"
_NEEDS = """
import importlib.metadata, re
for need in importlib.metadata.requires("eole"):
    if "extra ==" not in need and re.match(r"[\\w-]+", need)[0] != "torch":
        print(need)
"""
_ESCAPED = re.compile(r"%([0-9A-F]+);")
_LOGGED = re.compile(
    r"Step +(?P<step>\d+)/.*?sents: +(?P<rows>\d+); bsz: +\d+/ *(?P<tokens>\d+)/ *\d+;"
)


class PeerError(Exception):
    """eole cannot be installed, or one of its commands failed."""


def install(folder: Path) -> Path:
    """Make eole's virtual environment in `folder`, unless it is there; return its Python.

    eole 0.6.0 asks for a torch before 2.13, which would be a build of some gigabytes with CUDA. It
    works with 2.13, so torch comes first and eole without its requirements, which follow.

    Raises:
        PeerError: it cannot be installed, or something else is in `folder`.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete.txt"
    if complete.exists():
        return python
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise PeerError(f"{folder} is no virtual environment. Name another with --environment.")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print(f"installing {EOLE} into {folder}", file=sys.stderr, flush=True)
    run([sys.executable, "-m", "venv", "--clear", str(folder)])
    run([*pip, TORCH])
    run([*pip, "--no-deps", EOLE])
    run([*pip, *run([str(python), "-c", _NEEDS]).split("\n"), UNDECLARED, TORCH])
    run([str(python), "-m", "eole.bin.main", "train", "--help"])
    complete.write_text(f"{EOLE} {TORCH}\n", encoding="utf-8")
    return python


def run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PeerError(f"{command[0]} cannot be run: {error.strerror}.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerError(f"`{' '.join(command[:6])} ...` failed: {last}")
    return done.stdout.strip()


def write_token(token: str) -> str:
    """Write a token without white space: a leading space as ▁, other white space escaped.

    >>> write_token(" Ames"), write_token("\\n"), write_token("▁"), write_token(" ")
    ('▁Ames', '%A;', '%2581;', '▁')
    """
    lead = token.startswith(" ")
    rest = "".join(
        f"%{ord(one):X};" if one.isspace() or one in {SPACE, "%"} else one for one in token[lead:]
    )
    return SPACE + rest if lead else rest


def read_token(written: str) -> str:
    """Undo `write_token`.

    >>> read_token("▁Ames"), read_token("%A;")
    (' Ames', '\\n')
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), written.replace(SPACE, " "))


def write_lines(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of tokens, one row a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(" ".join(row) + "\n" for row in rows)


def read_lines(path: Path) -> list[list[str]]:
    """Read rows of tokens; an empty line is a row without tokens."""
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    return [[token for token in line.split(" ") if token] for line in lines]


def write_vocabulary(path: Path, rows: Iterable[Sequence[str]]) -> int:
    """Write every token of rows with its count, as eole reads them; return how many there are."""
    counts = Counter(token for row in rows for token in row)
    lines = [f"{token}\t{count}\n" for token, count in counts.most_common()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(lines)


@dataclass(frozen=True)
class Training:
    """Training of eole between the start of its loop and its last checkpoint.

    `seconds` are of processor time; `tokens` are target tokens, end symbols counted.
    """

    steps: int
    seconds: float
    tokens: int
    model: Path | None

    @property
    def steps_per_second(self) -> float:
        """Steps in a second of processor time."""
        return self.steps / self.seconds


def train(
    python: Path, config: Mapping[str, Any], folder: Path, *, seconds: float, core: int | None
) -> Training:
    """Train eole with `config` in `folder` until it ends or has taken `seconds` of processor time.

    The time counts from the start of its loop: neither imports nor vocabularies count.

    Raises:
        PeerError: it failed, or was stopped before it had saved a checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    command = [str(python), "-m", "eole.bin.main", "train", "--config", str(folder / "config.json")]
    log = folder / "train.log"
    with log.open("w", encoding="utf-8") as file:
        process = _start(command, core=core, stdout=file, stderr=file)
        try:
            spent = _watch(process, log, seconds)
        finally:
            process.kill()
            process.wait()
    if process.returncode > 0 or spent is None:
        raise PeerError(f"eole's training failed with exit code {process.returncode}: see {log}.")
    return _summary(Path(config["training"]["model_path"]), log, spent)


def _watch(process: subprocess.Popen[bytes], log: Path, seconds: float) -> float | None:
    """Return the processor time taken since the loop began, when it ends or is over."""
    began: float | None = None
    spent = 0.0
    while process.poll() is None:
        used = processor_time(process.pid)
        if began is None and STARTED in log.read_text(encoding="utf-8", errors="replace"):
            began = used
        if began is not None and used is not None:
            spent = used - began
            if spent >= seconds:
                process.terminate()
                process.wait()
        time.sleep(0.1)
    return None if began is None else spent


def processor_time(pid: int) -> float | None:
    """Return the seconds of processor time that a process has taken; None when it is gone."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    if Path("/proc/self/stat").exists():
        return None
    told = subprocess.run(
        ["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return parse_time(told) if told else None


def parse_time(told: str) -> float:
    """Read a time as `ps` writes it.

    >>> parse_time("1-02:03:04"), parse_time("9:30.25")
    (93784.0, 570.25)
    """
    days, _, clock = told.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return int(days or 0) * 86_400 + total


def _start(
    command: list[str], *, core: int | None, stdout: IO[str] | int, stderr: IO[str]
) -> subprocess.Popen[bytes]:
    """Start a command with one thread, on one core where a system can do that."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(process.pid, {core})
    return process


def _summary(folder: Path, log: Path, spent: float) -> Training:
    text = log.read_text(encoding="utf-8", errors="replace")
    steps, tokens = 0, 0
    for found in _LOGGED.finditer(text):
        tokens += (int(found["step"]) - steps) * int(found["tokens"])
        steps = int(found["step"])
    if not steps:
        raise PeerError(f"eole took too few steps within the time: see {log}.")
    return Training(steps, spent, tokens, newest_checkpoint(folder))


def save_training(done: Training, folder: Path) -> None:
    """Write the measurements of a training beside its model."""
    told = {"steps": done.steps, "seconds": done.seconds, "tokens": done.tokens}
    (folder / "training.json").write_text(json.dumps(told), encoding="utf-8")


def load_training(folder: Path) -> Training | None:
    """Read the measurements of a training, or return None if there is no model."""
    path, model = folder / "training.json", newest_checkpoint(folder / "model")
    if model is None or not path.exists():
        return None
    return Training(**json.loads(path.read_text(encoding="utf-8")), model=model)


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint: eole writes its config.json last."""
    steps = {
        int(each.parent.name.removeprefix("step_")): each.parent
        for each in folder.glob("step_*/config.json")
    }
    return steps[max(steps)] if steps else None


@dataclass(frozen=True)
class Decoding:
    """Outputs in tokens as written in the files, and the processor seconds of decoding."""

    rows: list[list[str]]
    seconds: float


def decode(
    python: Path, settings: Mapping[str, Any], folder: Path, *, core: int | None
) -> Decoding:
    """Let eole decode `settings["src"]`; the time leaves out the loading of the model.

    Raises:
        PeerError: it failed.
    """
    if not settings["model_path"]:
        raise PeerError("eole saved no checkpoint within the time. Give it more --minutes.")
    path = folder / "predict.json"
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    with (folder / "predict.log").open("w", encoding="utf-8") as log:
        command = [str(python), __file__, str(path)]
        process = _start(command, core=core, stdout=subprocess.PIPE, stderr=log)
        told, _ = process.communicate()
    if process.returncode:
        raise PeerError(f"eole's decoding failed: see {folder / 'predict.log'}.")
    seconds = float(told.decode().splitlines()[-1])
    return Decoding(read_lines(Path(settings["output"])), seconds)


def _decode_here(path: Path) -> None:
    """Decode by a file of settings twice, the first time to warm up, and print the time."""
    import torch
    from eole.config.run import PredictConfig  # type: ignore[import-not-found]
    from eole.inference_engine import InferenceEnginePY  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    engine = InferenceEnginePY(PredictConfig(**json.loads(path.read_text(encoding="utf-8"))))
    engine.infer_file()
    began = time.process_time()
    engine.infer_file()
    print(time.process_time() - began)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose eole.py would be taken for eole
    _decode_here(Path(sys.argv[1]))
