"""Endpoints and EndpointSlices: which pods answer for a Service."""
