"""SIP and media: legs, transfers and trunks, with PJSIP behind asyncio."""
