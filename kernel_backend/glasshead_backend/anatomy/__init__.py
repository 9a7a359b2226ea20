"""Where things are in a model: layers, attention, what adds to the residual stream."""
