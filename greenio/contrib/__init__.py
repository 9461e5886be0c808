"""What other packages need in order to let greenlets run: one module for each, of its name."""
