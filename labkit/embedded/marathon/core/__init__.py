"""What Marathon does: keeps instances, launches, kills, watches and deploys them, through the scheduler API only."""
