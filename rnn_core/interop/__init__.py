"""Weights in and out: PyTorch, and the tutorial's own models; networks from elsewhere with their own words."""
