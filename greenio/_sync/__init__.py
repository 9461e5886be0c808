"""The parts of locks, conditions, semaphores and queues (internal)."""
