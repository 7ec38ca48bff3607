"""Recurrent language models written from scratch in NumPy."""
