"""Files of Keras 1 and 2, migrated to Keras 3: their architecture, functions of TensorFlow as layers, the order of their kernels."""
