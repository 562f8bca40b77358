"""ZooKeeper's client protocol: what clients of every language speak on port 2181."""
