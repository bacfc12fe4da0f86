"""Recipes of Kobune's container images and of the demo guest.

Plain Python programs for the host's interpreter: they import nothing but the standard library, so that they run from a
checkout and from the installed wheel alike. Each recipe module has `build(build: Build) -> list[Layer]`.
"""
