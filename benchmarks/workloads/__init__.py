"""What is measured, a module for each noun; `all_of` in `benchmarks.workloads.table` has them all."""
