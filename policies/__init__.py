"""The learning wing: liquid networks, imitation and export."""
