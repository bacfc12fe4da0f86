"""One module per device; each offers `configure(source, domain)`."""
