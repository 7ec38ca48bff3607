"""Sweeps over settings, and experiments of the literature: many trainings that answer one question."""
