"""Claims find their volume, and stay while a pod uses them."""
