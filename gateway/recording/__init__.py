"""Recordings of calls: what a call orders, the thread that writes, and the file.

CallRecordings ── a leg ──▶ LegRecording (loop) ── orders ──▶ Tape (thread) ──▶ file
                                 ▲                             │ reads the recorder's native ring
                                 └────── damaged, over ────────┘
"""
