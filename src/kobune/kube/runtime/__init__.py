"""The controller runtime: work queue, decisions and their executor, the loop around them."""
