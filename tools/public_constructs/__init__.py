"""Our rule pack over the constructs of well-known public projects: what it finds there."""
