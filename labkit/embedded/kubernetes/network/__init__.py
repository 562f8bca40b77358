"""The cluster's network: addresses of pods, what a Service's address leads to, and names."""
