"""The distribution without torch: its dependencies, and that it installs and runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from annoseq.data.pairs import write_pairs
from annoseq.training.onnx_export import export_onnx
from tests.calibrated import calibrated_model, pairs

ROOT = Path(__file__).parents[1]
ONLY_WITH_TORCH = {"accelerate>=1.15", "threadpoolctl>=3.5", "torch>=2.7"}
PAIRS = 80


def project(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return content


def test_the_dependencies_are_those_of_annoseq_but_for_torch() -> None:
    whole, small = project(ROOT), project(ROOT / "packaging" / "onnx")
    extras = whole["optional-dependencies"]
    (runtime,) = (name for name in extras["onnx"] if name.startswith("onnxruntime"))
    dependencies = set(whole["dependencies"])
    assert dependencies > ONLY_WITH_TORCH
    assert set(small["dependencies"]) == dependencies - ONLY_WITH_TORCH | {runtime}
    assert small["requires-python"] == whole["requires-python"]
    assert small["scripts"] == whole["scripts"]
    assert small["entry-points"] == whole["entry-points"]
    for extra, packages in small["optional-dependencies"].items():
        assert packages == extras[extra]


@pytest.mark.slow
def test_it_annotates_evaluates_and_redacts_in_an_environment_without_torch(
    tmp_path: Path,
) -> None:
    file, table, venv = tmp_path / "tagger.onnx", tmp_path / "pairs.csv", tmp_path / "venv"
    export_onnx(calibrated_model(), file, card="# Model card\n")
    write_pairs(pairs(PAIRS), table, overwrite=False)
    _run(sys.executable, "-m", "venv", venv)
    source = f"{ROOT / 'packaging' / 'onnx'}[report]"
    install = ("pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", source)
    _run(venv / "bin" / "python", "-m", *install)
    listed = _run(venv / "bin" / "python", "-m", "pip", "list", "--format", "json")
    installed = {package["name"] for package in json.loads(listed)}
    assert "onnxruntime" in installed
    assert installed & {"torch", "accelerate", "onnx", "onnxscript"} == set()
    annoseq = venv / "bin" / "annoseq"
    annotated = _run(annoseq, "annotate", file, table, "--target-coverage", "0.9")
    assert len(annotated.splitlines()) == PAIRS
    evaluated = _run(annoseq, "evaluate", file, table, "--report", tmp_path / "report.html")
    assert "coverage of identifiers" in evaluated
    _run(annoseq, "redact", file, table, "--out", tmp_path / "redacted", "--with", "surrogate")


def _run(*command: object) -> str:
    ran = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd=ROOT.parent
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
