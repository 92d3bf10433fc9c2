"""The searches that make up an ascent: the readable pattern, the strongest response, and the retry for silent filters."""
