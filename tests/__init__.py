"""The tests, laid out as src/lockwire is."""
