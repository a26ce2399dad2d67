"""One file per change of the tables; what stands in one is never changed again."""
