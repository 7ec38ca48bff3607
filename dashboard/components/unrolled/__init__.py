"""The unrolled network: a sentence, and how much of one word's gradient arrives at every word before it."""

from dashboard.components.unrolled.picture import FOLDER, picture_data, unrolled_network, unrolled_picture

__all__ = ["FOLDER", "picture_data", "unrolled_network", "unrolled_picture"]
