"""The naive versions that everything is checked against: the tutorial's BPTT, BPTT by hand, the gradient check."""
