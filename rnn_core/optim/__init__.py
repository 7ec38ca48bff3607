"""What turns a gradient into a change of the weights: clipping, optimizers, schedules, regularizers."""
