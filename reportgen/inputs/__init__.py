"""The user's files, read without TensorFlow: images, signals and volumes, constant inputs, class names."""
