"""Tests of the commands for repositories and images."""
