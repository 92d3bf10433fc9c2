"""Two finished reports compared: which layers and filters changed, matched before they are compared. Without TensorFlow."""
