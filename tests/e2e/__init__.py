"""Real clients against a real `lockwire up`."""
