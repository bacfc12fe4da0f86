"""`kobune create`: manifests from a few flags. Nothing is sent anywhere."""
