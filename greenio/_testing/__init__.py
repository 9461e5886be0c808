"""The parts of `greenio.testing` and of the pytest plugin (internal)."""
