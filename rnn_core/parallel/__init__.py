"""Data parallelism: threads and processes that share one batch."""
