"""Node: whether its virt-handler is alive, what becomes of its instances when not, and the question about its CPU."""
