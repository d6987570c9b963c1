"""Install the wheel of `make dist` into empty environments, and use it as a reader of README would.

    python scripts/check_release.py --python python3.11 --python python3.12 --extras

With each interpreter: a new environment, torch and the wheel in the versions of constraints.txt,
`annoseq --version`, and the five-minute start of README.md in an empty folder. With `--extras`,
each extra is installed by itself on top of the first of these environments, and what it is for is
done once. Nothing of the checkout is importable meanwhile. `--rows` makes README's sample smaller.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README_ROWS = "4000"
_BERT = """
import json, tokenizers, transformers
from tokenizers import models, pre_tokenizers, processors
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
words += ["##" + letter for letter in words[4:]]
vocabulary = {word: number for number, word in enumerate(words)}
made = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), words))
transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained("bert")
sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
config = transformers.BertConfig(vocab_size=len(words), **sizes)
transformers.BertModel(config).save_pretrained("bert")
"""
"""Writes a tiny encoder with random weights: nothing is downloaded."""
_SPACY = """
import spacy
nlp = spacy.blank("en")
nlp.add_pipe("annoseq", config={"model": "model"})
assert "annoseq" in nlp("Dear Dr. Ames:").spans
"""
_PRESIDIO = """
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_anonymizer import AnonymizerEngine
from annoseq.integrations.presidio_operators import SurrogateOperator, surrogate_operators
from annoseq.integrations.presidio_recognizer import AnnoseqRecognizer
registry = RecognizerRegistry(recognizers=[AnnoseqRecognizer("model")])
nlp = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
text = "Dear Dr. Ames:"
results = AnalyzerEngine(registry=registry, nlp_engine=nlp).analyze(text, language="en")
results.append(RecognizerResult("PERSON", 9, 13, 1.0))  # whatever the model finds
engine = AnonymizerEngine()
engine.add_anonymizer(SurrogateOperator)
new = engine.anonymize(text, results, operators=surrogate_operators(text, results)).text
assert "Ames" not in new
"""
_DATASETS = """
import annoseq
from annoseq.integrations.token_datasets import from_token_dataset, to_token_dataset
pairs = annoseq.read_pairs("few.csv")
again = from_token_dataset(to_token_dataset(pairs), text="text")
assert [pair.source for pair in again] == [pair.source for pair in pairs]
"""
_SERVE = """
import json, re, signal, subprocess, sys, urllib.request
command = [sys.executable, "-m", "annoseq", "serve", "model", "--port", "0"]
with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
    url = next(m[0] for m in (re.search("http://[^ ]+", line) for line in server.stderr) if m)
    health = json.load(urllib.request.urlopen(url + "/health"))
    server.send_signal(signal.SIGTERM)
    server.communicate()  # whoever closes the pipe at once may break the server's last line
assert health == {"status": "ok"}
assert server.returncode == 0
"""
_FAST = """
import sys
from annoseq import Annotator
found = Annotator.load("model", device="cpu").annotate(["Dear Dr. Ames:"] * 1_000)
assert len(found) == 1_000
assert "numba" in sys.modules
"""
_SMALL = "--tagger.hidden 8 --tagger.buckets 1024 --epochs 1"
CHECKS: dict[str, tuple[str, ...]] = {
    "vectors": ("annoseq vectors train few.csv --out v.bin --width 8 --buckets 1000 --epochs 1",),
    "sweep": (
        f"annoseq sweep few.csv --out sweep --search --trials 2 --max-lr 1e-3:1e-2 {_SMALL}",
    ),
    "text-scores": ("annoseq evaluate model few.csv --text-scores",),
    "report": ("annoseq evaluate model few.csv --report report.html",),
    "spacy": (_SPACY, "annoseq export spacy few.csv few.spacy"),
    "presidio": (_PRESIDIO,),
    "datasets": (_DATASETS,),
    "encoders": (_BERT, f"annoseq train few.csv --out bert-tagger --encoder bert {_SMALL}"),
    "fast": (_FAST,),
    "gazetteers": (f"annoseq train few.csv --out listed --gazetteers en {_SMALL}",),
    "excel": ("annoseq annotate model few.csv --out found.xlsx",),
    "onnx": ("annoseq export onnx model tagger.onnx", "annoseq annotate tagger.onnx few.csv"),
    "scale": ("annoseq annotate model parts --out annotated --engine ray",),
    "serve": (_SERVE,),
}
"""The use of each extra: commands, or programs of several lines."""
WITHOUT_CHECK = {"all", "docs", "dev"}
"""Extras that only join others, or are for those who work on annoseq."""


def main() -> int:
    """Check every interpreter, then the extras; return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", required=True, help="an interpreter")
    parser.add_argument("--rows", default=README_ROWS, help="rows of the sample corpus")
    parser.add_argument("--extras", action="store_true", help="check each extra by itself, too")
    given = parser.parse_args()
    names = extras() if given.extras else []
    (wheel,) = (ROOT / "dist").glob("annoseq-*.whl")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="annoseq-release-") as folder:
        environments = []
        for number, python in enumerate(given.python):
            environment = Environment(Path(folder) / str(number), report)
            if environment.install(python, wheel):
                environment.start(rows=given.rows)
                environments.append(environment)
        if environments:
            for name in names:
                environments[0].check_extra(name, wheel)
    return report.finish()


def extras() -> list[str]:
    """Return the extras to check; raise if one has no check."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = set(content["project"]["optional-dependencies"]) - WITHOUT_CHECK
    if names != set(CHECKS):
        raise SystemExit(f"extras and checks differ: {sorted(names ^ set(CHECKS))}")
    return sorted(names)


class Report:
    """Results, one a line, with the seconds that each step took."""

    def __init__(self) -> None:
        self._failed = 0

    def run(self, title: str, *commands: list[str], cwd: Path, path: Path | None = None) -> bool:
        """Run commands one after the other, until one fails; write the result down."""
        began = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if path is not None:
            environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
        for command in commands:
            ran = subprocess.run(
                command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                self._failed += 1
                tail = "\n".join((ran.stdout + ran.stderr).splitlines()[-15:])
                self._write(f"FAILED  {title}: {shlex.join(command)[:200]}\n{tail}")
                return False
        self._write(f"ok      {title} ({time.monotonic() - began:.0f} s)")
        return True

    def finish(self) -> int:
        """Write the sum, and return the exit code."""
        self._write(f"{self._failed} failed")
        return min(self._failed, 1)

    def _write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Environment:
    """A virtual environment with the wheel, and the folder that README's start was run in."""

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder, self._report = folder, report
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self._name = ""

    def install(self, python: str, wheel: Path) -> bool:
        """Make the environment, and install torch and the wheel; return True if that went well."""
        made = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
        self._name = made.stdout.strip()
        venv = self.folder / "venv"
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--constraint", str(ROOT / "constraints.txt")]
        return self._report.run(
            f"{self._name}: install torch and {wheel.name}",
            [python, "-m", "venv", str(venv)],
            [*pip, "torch"],
            [*pip, str(wheel)],
            [str(venv / "bin" / "python"), "-m", "pip", "check"],
            cwd=self.work,
        )

    def start(self, *, rows: str) -> None:
        """Run `annoseq --version`, and the five-minute start of README.md, on so many rows."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        section = readme.partition("## Five-minute start")[2].partition("\n## ")[0]
        commands = re.findall(r"^\$ (annoseq .*)$", section.partition("```text")[0], re.M)
        bin_ = self.folder / "venv" / "bin"
        for command in ("annoseq --version", *commands):
            command = command.replace(f"--rows {README_ROWS}", f"--rows {rows}")  # noqa: PLW2901
            self._report.run(
                f"{self._name}: {command}", shlex.split(command), cwd=self.work, path=bin_
            )

    def check_extra(self, name: str, wheel: Path) -> None:
        """Install an extra into an environment of its own, on top of this one, and use it once."""
        venv = self.folder / f"extra-{name}"
        base, python = self.folder / "venv", str(venv / "bin" / "python")
        wanted = f"annoseq[{name}] @ {wheel.as_uri()}"
        constraints = str(ROOT / "constraints.txt")
        made = subprocess.run([str(base / "bin" / "python"), "-m", "venv", str(venv)], check=False)
        if made.returncode == 0:
            # What the base has is found, and only the rest of the extra is installed.
            (lower,) = (base / "lib").glob("python3*/site-packages")
            (upper,) = (venv / "lib").glob("python3*/site-packages")
            (upper / "base.pth").write_text(f"{lower}\n", encoding="utf-8")
        self._make_inputs(base / "bin")
        uses = [self._command(use, python) for use in CHECKS[name]]
        self._report.run(
            f"extra {name}: install, and use",
            [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wanted],
            *uses,
            cwd=self.work,
        )

    @staticmethod
    def _command(use: str, python: str) -> list[str]:
        """Return the words of a use, for the Python that finds the extra."""
        if "\n" in use:
            return [python, "-c", use]
        program, *words = shlex.split(use)
        return [python, "-m", program, *words]

    def _make_inputs(self, path: Path) -> None:
        """Make a small table, and a folder of parts, for the extras."""
        if (self.work / "few.csv").exists():
            return
        few = shlex.split("annoseq sample few.csv --rows 60 --seed 7")
        self._report.run("inputs of the extras", few, cwd=self.work, path=path)
        (self.work / "parts").mkdir()
        (self.work / "parts" / "1.csv").write_bytes((self.work / "few.csv").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
