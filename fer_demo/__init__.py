"""Facial expression recognition: faces, calibrated expressions, and the evidence for them."""
