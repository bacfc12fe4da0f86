"""Authentication: who a request comes from."""
