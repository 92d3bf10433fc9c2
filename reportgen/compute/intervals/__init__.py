"""Interval arithmetic over a traced graph: between which numbers every tensor lies for all inputs within a range."""
