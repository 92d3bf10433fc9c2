"""What a data set tells of filters: statistics of stored arrays, in NumPy alone."""
