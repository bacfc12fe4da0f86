"""VirtualMachine: run strategies, start and stop requests, back-off, and the one word for people."""
