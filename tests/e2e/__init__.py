"""End-to-end tests: a package, so that their instance lives as long as they do and no longer."""
