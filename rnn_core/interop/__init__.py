"""Networks from elsewhere: PyTorch's weights and modules, the tutorial's own models, and their words."""
