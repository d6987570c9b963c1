"""Many trainings with other settings, each from fresh weights, and what became of each."""
