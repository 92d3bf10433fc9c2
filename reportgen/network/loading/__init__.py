"""From a name or a file to a live model: formats, checks before anything runs, files of older Keras versions."""
