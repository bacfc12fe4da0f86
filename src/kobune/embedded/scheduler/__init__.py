"""The scheduler: a pure decision per pod, and the loop that carries it out."""
