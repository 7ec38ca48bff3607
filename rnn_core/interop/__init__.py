"""Weights in and out: PyTorch, and the tutorial's own models."""
