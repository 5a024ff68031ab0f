"""Parts of drill.py."""
