"""The search space.

Parsing it, flattening it into axes, and delivering points of it as NNI does.
"""
