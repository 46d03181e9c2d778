"""Keeping kernel and store together: check, repair, restore, and collecting what is left over.

All of it is one comparison: what the plans of the documents would have made, and what is there.
"""
