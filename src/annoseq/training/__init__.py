"""The learner: learning-rate finder, one-cycle training, checkpoints, plots."""
