"""virt-api: admission webhooks (defaults, validation) and the API subresources.kubevirt.io."""
