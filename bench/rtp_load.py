"""The audio of callers, or of agents: one process that sends and receives the RTP of every call.

SIPp does the signalling and names these ports in its offers. The gateway speaks first (silence
from the bot's port), which tells where a call's audio goes. Calls are spread over the 20 ms, as
real ones are.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from bench.arrivals import Arrivals
from bench.load import raise_priority
from bench.numbered import SAMPLES, mulaw_frame
from tests.peers import network

PTIME = 0.02
"""Seconds of audio in a packet."""

SLOTS = 20
"""Of a PTIME, a millisecond each."""

HEADER = struct.Struct("!BBHII")
"""Of an RTP packet (RFC 3550 section 5.1), without contributing sources."""

_PCMU = 0


@dataclass
class CallAudio:
    """One call's frames, as this end of it sent and heard them."""

    sent: array[float] = field(default_factory=lambda: array("d"))
    """Monotonic seconds at which each frame left; the index is its number since the beginning."""
    heard: Arrivals = field(default_factory=Arrivals)


def free_ports(address: str, calls: int) -> list[int]:
    """A port for the audio of each call; the one after it is for its RTCP."""
    first, _ = network.free_udp_range(address, 2 * calls)
    return [first + 2 * call for call in range(calls)]


def run(address: str, ports: list[int], pipe: Connection) -> None:
    """The load's process: `ready`, `up` once every call has audio, then until told to `stop`;
    then the calls' audio in the order of the ports, and how many frames it came too late to send.
    """
    raise_priority()
    sockets = [_bind(address, port) for port in ports]
    calls = [CallAudio() for _ in ports]
    poll = select.epoll()
    by_file = {}
    for sock, call in zip(sockets, calls, strict=True):
        poll.register(sock.fileno(), select.EPOLLIN)
        by_file[sock.fileno()] = (sock, call)
    pipe.send("ready")
    slots: list[list[tuple[socket.socket, CallAudio]]] = [[] for _ in range(SLOTS)]
    known: set[int] = set()
    skipped, tick, due = 0, 0, time.monotonic()
    while not pipe.poll():
        due += PTIME / SLOTS
        tick += 1
        if time.monotonic() - due < PTIME:
            _send(slots[tick % SLOTS], tick // SLOTS)
        else:
            # Late by a whole frame, this process was not run. No telephone would make up for that
            # with a burst, which every jitter buffer would answer with delay.
            skipped += len(slots[tick % SLOTS])
        while True:
            left = due - time.monotonic()
            for file, _ in poll.poll(max(0.0, left)):
                sock, call = by_file[file]
                if file not in known:
                    _meet(sock)
                    known.add(file)
                    slots[len(known) % SLOTS].append((sock, call))
                    if len(known) == len(ports):
                        pipe.send("up")
                _receive(sock, call)
            if left <= 0:
                break
    pipe.recv()
    pipe.send((calls, skipped))


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def _meet(sock: socket.socket) -> None:
    _, gateway = sock.recvfrom(2048, socket.MSG_PEEK)
    sock.connect(gateway)


def _send(calls: list[tuple[socket.socket, CallAudio]], frame: int) -> None:
    if not calls:
        return
    header = HEADER.pack(0x80, _PCMU, frame & 0xFFFF, frame * SAMPLES & 0xFFFFFFFF, 0x5357)
    packets: dict[int, bytes] = {}
    for sock, call in calls:
        number = len(call.sent)
        packet = packets.get(number)
        if packet is None:
            packet = packets[number] = header + mulaw_frame(number)
        call.sent.append(time.monotonic())
        with suppress(ConnectionRefusedError):  # the gateway has ended the call
            sock.send(packet)


def _receive(sock: socket.socket, call: CallAudio) -> None:
    while True:
        try:
            packet = sock.recv(2048)
        except BlockingIOError:
            return
        except ConnectionRefusedError:  # the gateway has ended the call
            continue
        call.heard.take_mulaw(packet[HEADER.size :], time.monotonic())
