"""The embedded Docker Swarm: Docker hosts on simulated machines, and SwarmKit's store and loops around it."""
