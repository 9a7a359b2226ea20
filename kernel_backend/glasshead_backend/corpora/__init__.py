"""A corpus cut into parts, what is done with each on any executor, and sums that merge."""
