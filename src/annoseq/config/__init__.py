"""Settings with their defaults, validation and help texts."""

from __future__ import annotations

from annoseq.config.data import (
    DOCUMENT_COLUMN,
    OFFSET_COLUMN,
    SOURCE_COLUMN,
    TARGET_COLUMN,
    BatchConfig,
    ColumnsConfig,
    DataConfig,
)
from annoseq.config.networks import (
    AnyNetworkConfig,
    AttentionConfig,
    GruConfig,
    ModelName,
    NetworkConfig,
    TaggerConfig,
    TransformerConfig,
)
from annoseq.config.search import SearchConfig
from annoseq.config.section import ConfigSection, Task
from annoseq.config.training import (
    AuditConfig,
    CrossFitConfig,
    CurveConfig,
    DeviceConfig,
    DistillationConfig,
    PretrainingConfig,
    ReviewConfig,
    SweepConfig,
    TrainingConfig,
    Workers,
)

__all__ = [
    "DOCUMENT_COLUMN",
    "OFFSET_COLUMN",
    "SOURCE_COLUMN",
    "TARGET_COLUMN",
    "AnyNetworkConfig",
    "AttentionConfig",
    "AuditConfig",
    "BatchConfig",
    "ColumnsConfig",
    "ConfigSection",
    "CrossFitConfig",
    "CurveConfig",
    "DataConfig",
    "DeviceConfig",
    "DistillationConfig",
    "GruConfig",
    "ModelName",
    "NetworkConfig",
    "PretrainingConfig",
    "ReviewConfig",
    "SearchConfig",
    "SweepConfig",
    "TaggerConfig",
    "Task",
    "TrainingConfig",
    "TransformerConfig",
    "Workers",
]
