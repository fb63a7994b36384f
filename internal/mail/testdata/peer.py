"""An SMTP server that is not ours (aiosmtpd), and Python's parser of mails: each mail is printed as a line of JSON."""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Peer:
    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_string(envelope.original_content.decode(), policy=email.policy.SMTPUTF8)
        parts = [p for p in m.walk() if not p.is_multipart()]
        defects = [d for p in m.walk() for d in p.defects] + [d for h in m.values() for d in h.defects]
        sender = m["from"].addresses[0]
        print(json.dumps({
            "from": envelope.mail_from,
            "receivers": envelope.rcpt_tos,
            "types": [m.get_content_type()] + [p.get_content_type() for p in parts],
            # The parser notes letters beyond ASCII before the @ although SMTPUTF8 makes them right (RFC 6532).
            "defects": [repr(d) for d in defects if type(d).__name__ != "NonASCIILocalPartDefect"],
            "headers": m.keys(),
            "subject": m["subject"],
            "id": m["message-id"],
            "date": m["date"].datetime.isoformat(),
            "sender": [sender.display_name, sender.addr_spec],
            "to": [[a.display_name, a.addr_spec] for a in m["to"].addresses],
            "text": parts[0].get_content(),
            "html": parts[-1].get_content(),
        }), flush=True)
        return "250 2.0.0 taken"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Peer(), enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the test ends


asyncio.run(main())
