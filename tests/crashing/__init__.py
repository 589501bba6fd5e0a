"""
Processes that are killed: at every durable step in turn, and at random under load; then what is left is checked.

    python -m tests.crashing kills --kills 1000 [--stack sqlite|production] [--seed N]
    python -m tests.crashing points [--stack sqlite|production] [--every-hit]
"""
