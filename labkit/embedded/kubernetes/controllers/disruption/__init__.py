"""PodDisruptionBudgets: how many pods may be spared now (the controller), and whether one may go (the decision)."""

# The controller is not named here: the API server needs the decision, and nothing of controllers.
