"""ReplicaSets: a number of equal pods."""
