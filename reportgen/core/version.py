"""The package's version, apart from the package itself so that a room can state it without importing the rooms above."""

__version__ = "0.1.0"
