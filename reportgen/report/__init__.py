"""From a stored run to pages: facts, view models, templates, files. Knows nothing of the model or of TensorFlow."""
