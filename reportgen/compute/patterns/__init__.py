"""Patterns: the picture that excites a filter most, found by gradient ascent, many filters at once."""
