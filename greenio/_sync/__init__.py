"""What locks, conditions and queues are made of (internal)."""
