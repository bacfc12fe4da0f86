"""REST: one generic pipeline for all resources, with a strategy per kind where kinds differ."""
