"""An emulator that can be made to break AhaSend's document, to see that the tools notice."""

from starlette.types import Message, Receive, Scope, Send

from reconciler.emulator.server import Emulator


class Tampered(Emulator):
    """Answers with a key's label under another name, while ``is_tampering``."""

    is_tampering = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tamper(message: Message) -> None:
            if self.is_tampering and "body" in message:
                message["body"] = message["body"].replace(b'"label"', b'"lapel"')
            await send(message)

        await super().__call__(scope, receive, tamper)
