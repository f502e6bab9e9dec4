"""Layer-wise relevance propagation as a program of differentiable operations."""
