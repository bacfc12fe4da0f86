"""Resource quotas: what a namespace uses of what it may."""
