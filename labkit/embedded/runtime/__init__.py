"""What the three embedded orchestrators share: clock, machines, images, processes, network, DNS."""
