from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.calibrated import calibrated_model
from tests.cli.command import run, start
from tests.integrations.label_studio import SETUP, predict

if TYPE_CHECKING:
    from pathlib import Path


def test_what_it_cannot_use_is_refused_before_it_serves(tmp_path: Path) -> None:
    for words, message in (
        (("--pairs", tmp_path / "no.csv"), "no.csv"),
        (("--host", "0.0.0.0"), "can be reached from other machines"),
        (("--epochs", "0"), "--epochs"),
        (("--port", "0"), "nowhere: there is no such folder"),
    ):
        result = run("label-studio", tmp_path / "nowhere", "--data", tmp_path / "data", *words)
        assert (result.code, result.out) == (2, "")
        assert message in result.err


@pytest.mark.e2e
def test_label_studio_is_answered_until_a_signal(tmp_path: Path) -> None:
    model, data = tmp_path / "model", tmp_path / "data"
    calibrated_model().save(model, card="")
    with start("label-studio", model, "--data", data, "--port", "0") as server:
        assert server.stderr is not None
        assert server.stderr.readline() == f"{model} answers; 0 annotated tasks\n"
        url = server.stderr.readline().split()[2]
        for path, body in (("/setup", SETUP), ("/predict", predict("Dr. Ames, 31y"))):
            request = urllib.request.Request(
                url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
