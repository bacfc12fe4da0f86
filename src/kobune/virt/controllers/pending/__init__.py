"""Kinds that are defined but not acted upon yet: each object is told so in its status."""
