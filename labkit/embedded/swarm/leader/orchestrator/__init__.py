"""From services to tasks: the loops that create, replace and remove tasks (SwarmKit ``manager/orchestrator``)."""
