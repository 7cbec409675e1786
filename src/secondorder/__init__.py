"""Second-order training of neural networks, replicated and checked."""
