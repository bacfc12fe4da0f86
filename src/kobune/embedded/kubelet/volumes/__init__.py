"""A pod's volumes: what their files hold (pure), and making, refreshing and removing them on this node."""
