"""The embedded engines: servers that speak the real APIs. They import nothing else of labkit."""
