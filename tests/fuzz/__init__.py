"""Hostile input: RFC 4475's torture messages, and mutations of what real peers send.

The invariant: whatever comes in is answered or dropped; nothing crashes, nothing stays.
"""
