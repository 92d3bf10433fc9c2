"""What is read off one trace of the model: layer calls, paths, units, receptive fields, costs, the diagram."""
