"""A run is a folder: its store, its checkpoints, and the process that trains it."""
