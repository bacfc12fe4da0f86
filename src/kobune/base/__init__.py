"""Values and rules without a domain and without I/O: quantities, durations, clock, errors."""
