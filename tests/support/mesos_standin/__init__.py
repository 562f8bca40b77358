"""What stands in for the images of infra/marathon where none can be pulled: see ``README.md``."""
