"""What servers are made of (internal)."""
