"""A node's agent (SwarmKit ``agent/``): keeps a session with the leader and runs the tasks that it is assigned."""
