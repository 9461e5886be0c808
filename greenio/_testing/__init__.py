"""What `greenio.testing` and the pytest plugin are made of (internal)."""
