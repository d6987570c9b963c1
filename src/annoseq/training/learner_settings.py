"""Settings from which several learners are made: of folds, of subsets, of the runs of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.training.learner import Learner
from annoseq.training.resources import Resources

if TYPE_CHECKING:
    from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TrainingConfig
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.distillation import Distillation


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """Settings of a learner, and its resources."""

    network: NetworkConfig
    training: TrainingConfig
    batching: BatchConfig
    device: DeviceConfig
    resources: Resources = field(default_factory=Resources)

    def make(self, dataset: Dataset, distillation: Distillation | None = None) -> Learner:
        """Make a learner with fresh weights, with teachers or without."""
        return Learner(
            dataset,
            model=self.network,
            training=self.training,
            batching=self.batching,
            device=self.device,
            vectors=self.resources.vectors,
            encoder=self.resources.encoder,
            language_model=self.resources.language_model,
            lexicon_features=self.resources.lexicon_features,
            distillation=distillation,
        )
