"""Recordings of calls: what a call orders, the thread that writes, and the file.

CallRecordings (loop) ── orders ──▶ Tape (thread) ──▶ file
       ▲                             │ reads the native ring of its recorder
       └─── damaged, over ───────────┘
"""
