"""Hosted mode: caps, owners, the queue of trainings, and the sweeping of old runs."""
