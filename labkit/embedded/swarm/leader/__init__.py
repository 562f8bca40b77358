"""What the leader among the managers does: a store in the middle, and loops around it.

Each loop watches the store, decides with pure functions and writes the store; none calls another. The division is
SwarmKit's (``manager/``): who restarts a task is found by folder name.
"""
