"""Which resources are served, and the objects of each: caches over the revision log with selectors and watches."""
