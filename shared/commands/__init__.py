"""The halves of the commands that both modes share; of all of ``shared``, only these print."""
