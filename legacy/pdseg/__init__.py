"""The static-graph mode: the same networks lowered into Programs, behind the same loop."""
