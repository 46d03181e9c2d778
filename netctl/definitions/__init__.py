"""What a user asks for, checked before anything is touched, and compared by ``--if-not-exists``."""
