"""PodDisruptionBudgets: how many pods may be spared now (the controller), and whether one may go (the decision)."""
