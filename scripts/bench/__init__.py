"""Benchmarks: one command a question, each with the peer beside it in the same run.

``peers`` makes the peers' environments, ``sides/`` holds what runs in each process, ``contest`` lets processes take
turns, and ``data``, ``train``, ``eval``, ``infer`` and ``scaling`` are the commands.
"""
