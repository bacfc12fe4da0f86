"""subresources.kubevirt.io: start, stop, console and the like, served behind the API server's aggregation."""
