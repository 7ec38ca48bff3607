"""One page a file, each a recipe: choose, compute, draw."""
