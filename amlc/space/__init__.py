"""The search space: parsing it, flattening it into axes, and delivering points of it as NNI does."""
