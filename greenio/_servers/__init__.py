"""The parts of servers: addresses, listeners, handlers and their limits (internal)."""
