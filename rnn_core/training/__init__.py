"""The training loop as a stream of events, evaluation and generation."""
