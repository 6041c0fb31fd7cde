"""Makes, measures and publishes the weights of the expression demo."""
