"""From a configuration to a network with fresh weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from annoseq.models.gru import Gru

if TYPE_CHECKING:
    from annoseq.config import GruConfig


def build_model(config: GruConfig, *, source_size: int, target_size: int, seed: int) -> Gru:
    """Build a network whose weights depend on `seed` and on nothing drawn before."""
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        return Gru(config, source_size=source_size, target_size=target_size)
