"""Modules that a program imports, found by running it in a new interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "torch",
    "numba",
    "pandas",
    "pyarrow",
    "tokenizers",
    "matplotlib",
    "faker",
    "numpy",
    "safetensors",
}
"""Top-level modules that take long to import."""


def imported_by(program: str) -> set[str]:
    """Run a program in a new interpreter; return the top-level modules that it imported."""
    return {name.partition(".")[0] for name in modules_of(program)}


def modules_of(program: str) -> set[str]:
    """Run a program in a new interpreter; return the full names of the modules it imported."""
    report = "import sys, json\nprint(json.dumps([*sys.modules]), file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"], capture_output=True, check=True, text=True
    )
    return set(json.loads(ran.stderr))
