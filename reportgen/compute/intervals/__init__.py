"""Interval arithmetic over a traced graph: lower and upper bounds of every tensor for all inputs within a range."""
