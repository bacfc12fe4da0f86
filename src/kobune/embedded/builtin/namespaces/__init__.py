"""Namespaces end only after everything in them is gone."""
