from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """A Ray of three CPUs on this machine, which all tests share; two workers fit in."""
    pytest.importorskip("ray")
    from annoseq.scale.ray_engine import import_ray

    root = str(tmp_path_factory.getbasetemp().parents[0])
    ray = import_ray()
    ray.init(
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([str(_source()), root])}},
    )
    yield ray
    ray.shutdown()


def _source() -> Path:
    from pathlib import Path

    import annoseq

    return Path(annoseq.__file__).parents[1]
