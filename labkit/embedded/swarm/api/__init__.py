"""The Docker Engine API of a sandbox: one module a family of routes, none of the rules."""
