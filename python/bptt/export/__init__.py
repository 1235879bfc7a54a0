"""Trained networks for programs without Python."""
