"""`bot`: the caller talks to a bot until the bot decides."""

from __future__ import annotations

from config.flows import AgentTransfer, Bot
from ivr.events import BotCommandRefused
from ivr.flow_run import End, FlowRun, Step
from ivr.ports import BotDone, BotExit, BotFailed, BotGoto, BotHangup, BotStart, BotTransfer
from ivr.result import EndReason
from ivr.transfer_request import TransferRequest
from sip.order import Withdrawal
from sip.outcome import Handover, HandoverStatus


async def enter(node: Bot, run: FlowRun) -> Step:
    """Hold one conversation, and follow the exit the bot chose.

    A transfer or a node that the flow does not have is refused while the conversation still goes
    on (`ivr.ports.BotPort`): the bot learns why and can do something else.
    """

    def accepts(wanted: BotExit) -> str | None:
        refusal = _refusal(wanted, node, run)
        if refusal is not None:
            command = "transfer" if isinstance(wanted, BotTransfer) else "goto"
            run.emit(BotCommandRefused(node.bot, command, refusal))
        elif isinstance(wanted, BotTransfer) and node.stays:
            # From here on the bot can take it back, also before its node has begun.
            run.handover = Handover(HandoverStatus.QUEUED, target=wanted.target)
        return refusal

    def take_back() -> str | None:
        refusal = run.beyond_recall if run.handing_over else "no transfer is under way"
        if refusal is None:
            run.take_back(Withdrawal.BY_BOT)
        else:
            run.emit(BotCommandRefused(node.bot, "cancel_transfer", refusal))
        return refusal

    start = BotStart(
        node.bot,
        run.place.flow,
        run.place.node,
        run.handover,
        run.variables,
        take_back if node.stays else None,
    )
    chosen = await run.bot.converse(start, accepts)
    if _refusal(chosen, node, run) is not None:
        return run.to(node.error)  # the session did not ask
    match chosen:
        case BotTransfer():
            run.request = _request(chosen)
            return run.to(_transfer_node(chosen, node) or node.error)
        case BotGoto(node=name):
            return run.to(name)
        case BotHangup(headers=headers, tags=tags):
            run.file_under(tags)
            return End(EndReason.BOT_HANGUP, headers)
        case BotDone():
            return run.to(node.done) if node.done else End(EndReason.BOT_DONE)
        case BotFailed():
            return run.to(node.error)


def _request(wanted: BotTransfer) -> TransferRequest:
    return TransferRequest(wanted.target, wanted.method, wanted.headers, wanted.context)


def _transfer_node(wanted: BotTransfer, node: Bot) -> str | None:
    return node.transfer.get(wanted.target) or node.transfer.get("default")


def _refusal(wanted: BotExit, node: Bot, run: FlowRun) -> str | None:
    """Why the flow cannot follow this exit; None: it can."""
    if isinstance(wanted, BotGoto) and wanted.node not in run.flow.nodes:
        return f"node: the flow {run.flow.flow!r} has no node {wanted.node!r}"
    if not isinstance(wanted, BotTransfer):
        return None
    name = _transfer_node(wanted, node)
    if name is None:
        served = ", ".join(node.transfer) or "none"
        return f"target: the flow does not transfer to {wanted.target!r} here; it serves: {served}"
    transfer = run.flow.nodes[name]
    if not isinstance(transfer, AgentTransfer):
        return None
    refusal = run.directory.refusal(transfer, _request(wanted))
    return None if refusal is None else f"{refusal.field}: {refusal.message}"
