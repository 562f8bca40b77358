"""One simulated Docker host: containers, images, volumes, local networks, events, and its part in the swarm's mesh."""
