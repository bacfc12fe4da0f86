"""The command line's verbs on virtual machines, over the public HTTP API: they print, they never decide."""
