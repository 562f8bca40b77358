"""The API server: HTTPS on the outside, the registry on the inside."""
