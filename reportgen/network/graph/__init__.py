"""What one trace of the model tells: layer calls, paths, units, receptive fields, costs, the diagram."""
