"""Handlers of subresources and virtual resources: reviews, tokens, bindings, evictions, scale, streaming to nodes."""
