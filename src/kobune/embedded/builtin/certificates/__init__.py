"""Certificates that users ask for by CertificateSigningRequests: signing what was approved, cleaning up."""
