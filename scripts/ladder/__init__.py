"""The ladder: rungs on which eager and static mode are compared, from the samples to the exported network.

Tests climb it with every network of the zoo, ``scripts/parity.py`` with a user's own config. It may import both modes;
neither of them may import it.
"""
