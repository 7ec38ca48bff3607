"""Recurrent networks: cells, back-propagation through time, the loss, and the language model made of them."""
