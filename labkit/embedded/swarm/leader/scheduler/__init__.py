"""From tasks to nodes (SwarmKit ``manager/scheduler``): filters, spreading, and the loop that assigns."""
