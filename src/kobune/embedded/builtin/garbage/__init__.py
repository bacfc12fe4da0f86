"""Garbage collection: what owners own goes with them, before them, or stays."""
