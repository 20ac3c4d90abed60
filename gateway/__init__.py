"""The running service: composition, bot sessions, control API, storage, command line."""
