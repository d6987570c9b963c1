"""Hyperparameter sweeps: grid search, Optuna search, and their results."""
