"""The rules of the registry, each with its SQL. Every door calls these; none has rules of its own."""
