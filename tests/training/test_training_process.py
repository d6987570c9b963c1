from __future__ import annotations

import sys
import threading

import pytest

from annoseq.errors import TrainingError
from annoseq.training.training_process import TrainingProcess


def process(program: str) -> TrainingProcess:
    return TrainingProcess(command=(sys.executable, "-c", program))


def test_each_line_of_the_table_of_epochs_is_told() -> None:
    epochs: list[int] = []
    lines = "epoch  loss  F1\\n    1  0.512  0.1\\n    2  0.401  0.2\\nsaved"
    process(f"print('{lines}')").run([], report=epochs.append)
    assert epochs == [1, 2]


def test_the_command_is_train() -> None:
    program = "import sys; sys.exit(sys.argv[1:] != ['train', 'pairs.csv'])"
    process(program).run(["pairs.csv"])


def test_an_error_of_the_user_is_told_in_one_line() -> None:
    program = "import sys; print('x annoseq: the loss\\ndiverged.', file=sys.stderr); sys.exit(2)"
    with pytest.raises(TrainingError, match=r"^the training failed: the loss diverged\.$"):
        process(program).run([])


def test_what_a_crash_prints_is_not_quoted() -> None:
    program = "import sys; print('Ms Ames', file=sys.stderr); sys.exit(1)"
    with pytest.raises(
        TrainingError, match=r"^the training ended with exit code 1\. Start it again\.$"
    ):
        process(program).run([])


def test_another_thread_ends_it_and_none_starts_afterwards() -> None:
    running = process("print('    1  0.5  0.1', flush=True); import time; time.sleep(60)")

    def close(_: int) -> None:
        assert running.is_running
        threading.Thread(target=running.close).start()

    ended = r"^the server ended, and the training with it\. Start both again\.$"
    with pytest.raises(TrainingError, match=ended):
        running.run([], report=close)
    assert not running.is_running
    with pytest.raises(TrainingError, match=ended):
        running.run([])
