"""Find a checkpoint by its name and check that it is whole, without importing torch."""
