"""Training on managed Spot capacity: the construct, its role, its names and its step."""
