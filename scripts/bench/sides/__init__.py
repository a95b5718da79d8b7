"""What runs in a process of its own: this toolkit, and each peer through its public interface alone.

Every file is a script, ``python <side>.py JOB JSON``, and stands on the standard library and its own packages, because
a peer's environment knows nothing of ours. ``loop`` speaks with the contest.
"""
