"""Static, honest, reproducible reports of what a Keras convolutional network's filters look for."""

__version__ = "0.1.0"
