"""Gates: conditions on a finished report or a comparison under which a command ends with exit code 4."""
