"""`kobune why`: what state a machine is in, what it waits for and since when, and what to do."""
