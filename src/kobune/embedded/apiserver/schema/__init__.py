"""Schemas of the API: definitions of built-in kinds, structural schemas of custom ones, compiled to functions."""
