"""Who is measured: Moorage, other registries, and what shows how fast the machine can be at all."""
