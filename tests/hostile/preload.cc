// Stands where the worker library stands: the hostile worker needs none.
