"""Training: learner, objectives, one-cycle loop, checkpoints, calibration, sweeps."""
