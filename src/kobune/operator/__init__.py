"""What must exist in a cluster for Kobune to work, and installing it.

Pure renderers (manifests, roles, webhooks, certificates) and one `install` that applies them with a client.
"""
