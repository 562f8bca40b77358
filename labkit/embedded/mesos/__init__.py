"""Apache Mesos, embedded: masters behind a ZooKeeper ensemble, agents, and the HTTP APIs of both."""
