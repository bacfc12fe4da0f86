"""Volumes show whether they are free, bound or released, and stay while they are bound."""
