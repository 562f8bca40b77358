"""The agent's HTTP API on port 5051."""
