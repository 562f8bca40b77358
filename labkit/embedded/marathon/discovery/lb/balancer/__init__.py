"""labkit's own balancer, for machines without HAProxy: the same services, routes and pages, in this process."""
