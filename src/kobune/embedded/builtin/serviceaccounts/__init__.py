"""Every namespace has a ServiceAccount `default` and the certificate authority to trust."""
