"""The torture messages of RFC 4475, each rebuilt from its section for a number of this gateway.

`{uri}` is a number that no route takes, so a message that is understood ends as 404 and leaves
nothing behind. What an answer may be is what the section says of a user agent server; where it
leaves the choice, answering 400 and saying nothing are both right.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

NO_ROUTE = frozenset({404})
DROPPED = 0
"""Stands for no answer among `answers`."""

MALFORMED = frozenset({400, DROPPED})

SDP = (
    "v=0\r\no=mhandley 29739 7272939 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n"
)


@dataclass(frozen=True)
class Torture:
    """One message of RFC 4475."""

    section: str
    name: str
    answers: Collection[int]
    """Statuses that are right; DROPPED where silence is too."""
    lines: str
    body: str = ""
    length: str | None = None
    """What Content-Length says; None: the truth, empty: the header is missing."""
    raw: bytes = b""
    """Comes behind everything else."""
    method: str = "INVITE"

    def message(self, host: str, port: int, uri: str) -> bytes:
        """As it goes over the wire from `host:port`; another dialog each time."""
        unique = secrets.token_hex(8)
        body = _filled(self.body, host, port, uri, unique)
        head = _filled(self.lines, host, port, uri, unique).replace("\n", "\r\n")
        if self.length is None:
            head += f"Content-Length: {len(body)}\r\n"
        elif self.length:
            head += f"Content-Length: {self.length}\r\n"
        return head.encode("latin-1") + b"\r\n" + body.encode("latin-1") + self.raw


def _filled(text: str, host: str, port: int, uri: str, unique: str) -> str:
    for name, value in {
        "{host}": host,
        "{port}": str(port),
        "{uri}": uri,
        "{id}": unique,
        "{sdp}": SDP.replace("{host}", host),
    }.items():
        text = text.replace(name, value)
    return text


def request(
    line: str = "INVITE {uri} SIP/2.0",
    *extra: str,
    via: str = "SIP/2.0/UDP {host}:{port};branch=z9hG4bK{id}",
    from_: str = "<sip:caller@{host}>;tag=1{id}",
    to: str = "<{uri}>",
    call_id: str = "{id}.torture@{host}",
    cseq: str = "8 INVITE",
    contact: str = "<sip:caller@{host}:{port}>",
    max_forwards: str = "70",
) -> str:
    """A request's lines; a header given as empty text is left out."""
    headers = {
        "Via": via,
        "Max-Forwards": max_forwards,
        "From": from_,
        "To": to,
        "Call-ID": call_id,
        "CSeq": cseq,
        "Contact": contact,
    }
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value), *extra]
    return "\n".join(lines) + "\n"


SDP_TYPE = "Content-Type: application/sdp"

VALID = [
    Torture(
        "3.1.1.1",
        "wsinv: a short tortuous INVITE",
        NO_ROUTE,
        "INVITE {uri};unknownparam SIP/2.0\n"
        "TO :\n {uri} ;   tag    = \n"
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@{host}>\n  ;\n  tag = 98{id}\n'
        "MaX-fOrWaRdS: 0068\n"
        "Call-ID: wsinv.{id}@{host}\n"
        "CSeq: 0009\n  INVITE\n"
        "Via  : SIP  /   2.0\n /UDP\n    {host}:{port};branch=z9hG4bK{id}\n"
        "s :\n"
        "NewFangledHeader:   newfangled value\n continued newfangled value\n"
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\n"
        "Content-Type: application/sdp\n"
        "Route:\n <sip:{host};lr;unknownwith=value;unknown-no-value>\n"
        'm:"Quoted string \\"\\"" <sip:jdrosen@{host}:{port}> ; newparam =\n      newvalue ;\n'
        "  secondparam ; q = 0.33\n",
        body="{sdp}",
    ),
    Torture(
        "3.1.1.2",
        "intmeth: a method of odd characters",
        {405, 501},
        request(
            "!interesting-Method0123456789_*+`.%indeed'~ {uri} SIP/2.0",
            "!interesting-Header0123456789_*+`.%indeed'~: value",
            cseq="139122385 !interesting-Method0123456789_*+`.%indeed'~",
        ),
        method="!interesting-Method0123456789_*+`.%indeed'~",
    ),
    Torture(
        "3.1.1.3",
        "esc01: escapes in user part and parameters",
        NO_ROUTE,
        request(
            "INVITE sip:sips%3Auser%40example.com@127.0.0.1 SIP/2.0",
            SDP_TYPE,
            to="<sip:%75se%72@{host}>",
            from_="<sip:I%20have%20spaces@{host}>;tag=9{id}",
            contact="<sip:cal%6Cer@{host}:{port};%6C%72;n%61me=v%61lue%25%34%31>",
        ),
        body="{sdp}",
    ),
    Torture(
        "3.1.1.4",
        "escnull: escaped NUL in a URI",
        NO_ROUTE,
        request(
            from_="<sip:null-%00-null@{host}>;tag=8{id}",
            to="<sip:null-%00-null@{host}>",
            contact="<sip:%00@{host}:{port}>",
        ),
    ),
    Torture(
        "3.1.1.5",
        "esc02: percent signs that escape nothing",
        {405, 501},
        request(
            "RE%47IST%45R {uri} SIP/2.0",
            to='"%Z%45" <sip:resource@{host}>',
            from_='"%Z%45" <sip:resource@{host}>;tag=f{id}',
            cseq="29344 RE%47IST%45R",
            contact="<sip:alias1@{host}:{port}>",
        ),
        method="RE%47IST%45R",
    ),
    Torture(
        "3.1.1.6",
        "lwsdisp: no space between display name and <",
        {200},
        request(
            "OPTIONS {uri} SIP/2.0", from_="caller<sip:caller@{host}>;tag=3{id}", cseq="60 OPTIONS"
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.1.1.7",
        "longreq: long values everywhere",
        {404, 413, 513, DROPPED},
        request(
            "INVITE {uri} SIP/2.0",
            "Unknown-" + "Long" * 20 + "-Name: unknown-" + "long" * 20 + "-value",
            "Route: <sip:" + "r" * 60 + "@{host};lr>",
            SDP_TYPE,
            from_="sip:" + "amazinglylongcallername" * 5 + "@{host};tag=12{id}" + "9" * 200,
            to='"' + "I have a user name of extremeproportion " * 6 + '"<{uri}>',
            call_id="longreq.{id}" + "really" * 30 + "longcallid",
        ),
        body="{sdp}",
    ),
    Torture(
        "3.1.1.9",
        "semiuri: a semicolon in the user part",
        {200},
        request("OPTIONS sip:user;par=u%40example.net@127.0.0.1 SIP/2.0", cseq="8 OPTIONS"),
        method="OPTIONS",
    ),
    Torture(
        "3.1.1.10",
        "transports: known and unknown ones in Via",
        {200},
        request(
            "OPTIONS {uri} SIP/2.0",
            "Via: SIP/2.0/SCTP t1.example.com;branch=z9hG4bKkdjuw",
            "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKkdjt",
            "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bKkdjg",
            cseq="60 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.1.1.11",
        "mpart01: a body in several parts",
        {405, 415},
        request(
            "MESSAGE {uri} SIP/2.0",
            "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655",
            cseq="127 MESSAGE",
        ),
        body=(
            "--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
            "--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\r\n\x00\x01\x82\r\n"
            "--7a9cbec02ceef655--\r\n"
        ),
        method="MESSAGE",
    ),
]
"""Section 3.1.1: valid, if hardly to be recognised as such."""

INVALID = [
    Torture(
        "3.1.2.1",
        "badinv01: separators without values",
        {400, 404, DROPPED},
        request(
            via="SIP/2.0/UDP {host}:{port};branch=z9hG4bK{id};;,;,,",
            contact='"Joe" <sip:joe@{host}>;;;;',
        ),
    ),
    Torture(
        "3.1.2.2",
        "clerr: Content-Length beyond the packet",
        MALFORMED,
        request("INVITE {uri} SIP/2.0", SDP_TYPE),
        body="{sdp}",
        length="9999",
    ),
    Torture(
        "3.1.2.3",
        "ncl: a negative Content-Length",
        MALFORMED,
        request("INVITE {uri} SIP/2.0", SDP_TYPE),
        body="{sdp}",
        length="-999",
    ),
    Torture(
        "3.1.2.4",
        "scalar02: numbers beyond 32 bits",
        MALFORMED | {405},
        request(
            "REGISTER {uri} SIP/2.0",
            "Expires: 10000000000000000000",
            cseq="36893488147419103232 REGISTER",
            max_forwards="300",
        ),
        method="REGISTER",
    ),
    Torture(
        "3.1.2.6",
        "quotbal: a quoted string that does not end",
        MALFORMED,
        request(to='"Mr. J. User <{uri}>'),
    ),
    Torture(
        "3.1.2.7",
        "ltgtruri: the request URI in <>",
        MALFORMED,
        request("INVITE <{uri}> SIP/2.0", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.1.2.8",
        "lwsruri: spaces in the request URI",
        MALFORMED | {404},
        request("INVITE {uri}; lr SIP/2.0", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.1.2.9",
        "lwsstart: several spaces in the start line",
        MALFORMED | {404},
        request("INVITE  {uri}  SIP/2.0", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.1.2.10",
        "trws: spaces at the end of the start line",
        MALFORMED | {200},
        request("OPTIONS {uri} SIP/2.0  ", cseq="238923 OPTIONS"),
        method="OPTIONS",
    ),
    Torture(
        "3.1.2.11",
        "escruri: escaped headers in the request URI",
        MALFORMED | {404},
        request("INVITE {uri}?Route=%3Csip:example.com%3E SIP/2.0", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.1.2.12",
        "baddate: a date in another zone than GMT",
        MALFORMED | {404},
        request("INVITE {uri} SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.1.2.13",
        "regbadct: Contact parameters without <>",
        MALFORMED | {405},
        request(
            "REGISTER {uri} SIP/2.0",
            cseq="8 REGISTER",
            contact="sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        ),
        method="REGISTER",
    ),
    Torture(
        "3.1.2.14",
        "badaspec: a space within the address",
        MALFORMED | {200},
        request(
            "OPTIONS {uri} SIP/2.0",
            from_='"Bell, Alexander" < sip:a.g@{host} >;tag=4{id}',
            to='"Watson, Thomas" < {uri} >',
            cseq="3923239 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.1.2.15",
        "baddn: commas outside quotes in a display name",
        MALFORMED | {200},
        request(
            "OPTIONS {uri} SIP/2.0",
            from_="Bell, Alexander <sip:a.g@{host}>;tag=4{id}",
            cseq="3923239 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.1.2.16",
        "badvers: SIP/7.0",
        {400, 505, DROPPED},
        request(
            "OPTIONS {uri} SIP/7.0",
            via="SIP/7.0/UDP {host}:{port};branch=z9hG4bK{id}",
            cseq="31 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.1.2.17",
        "mismatch01: CSeq names another method",
        MALFORMED,
        request("OPTIONS {uri} SIP/2.0", cseq="8 INVITE"),
        method="",
    ),
    Torture(
        "3.1.2.18",
        "mismatch02: CSeq names an unknown method",
        MALFORMED | {405, 501},
        request("NEWMETHOD {uri} SIP/2.0", SDP_TYPE, cseq="8 INVITE"),
        body="{sdp}",
        method="",
    ),
    Torture(
        "3.3.1",
        "insuf: neither Call-ID, nor From, nor To",
        MALFORMED,
        request("INVITE {uri} SIP/2.0", SDP_TYPE, from_="", to="", call_id="", max_forwards="5"),
        body="{sdp}",
        method="",
    ),
]
"""Section 3.1.2 and 3.3.1: not valid, in ways that parsers have taken or have died of."""

ODD = [
    Torture(
        "3.2.1",
        "badbranch: a branch of the magic cookie alone",
        {200, 400, DROPPED},
        request(
            "OPTIONS {uri} SIP/2.0",
            via="SIP/2.0/UDP {host}:{port};branch=z9hG4bK",
            cseq="8 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.3.2",
        "unkscm: a request URI of unknown scheme",
        {404, 416, DROPPED},
        request(
            "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", cseq="3923423 OPTIONS"
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.3.3",
        "novelsc: a request URI that is no SIP address",
        {200, 416, DROPPED},
        request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", cseq="8 OPTIONS"),
        method="OPTIONS",
    ),
    Torture(
        "3.3.4",
        "unksm2: To and From of unknown scheme",
        {405, 400, DROPPED},
        request(
            "REGISTER {uri} SIP/2.0",
            to="isbn:2983792873",
            from_="<http://www.example.com>;tag=3{id}",
            cseq="234902 REGISTER",
            contact="<name:John_Smith>",
        ),
        method="REGISTER",
    ),
    Torture(
        "3.3.5",
        "bext01: an extension that nobody supports",
        {200, 420},
        request(
            "OPTIONS {uri} SIP/2.0",
            "Require: nothingSupportsThis, nothingSupportsThisEither",
            "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
            cseq="8 OPTIONS",
        ),
        method="OPTIONS",
    ),
    Torture(
        "3.3.6",
        "invut: a body of an unknown type",
        {404, 415, 488},
        request("INVITE {uri} SIP/2.0", "Content-Type: application/unknownformat"),
        body='<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n',
    ),
    Torture(
        "3.3.7",
        "regaut01: a scheme of authorization that nobody knows",
        {405, DROPPED},
        request(
            "REGISTER {uri} SIP/2.0",
            "Authorization: NoOneKnowsThisScheme opaque-data=here",
            cseq="9338 REGISTER",
        ),
        method="REGISTER",
    ),
    Torture(
        "3.3.8",
        "multi01: headers twice that may be there once",
        {400, 404, DROPPED},
        request(
            "INVITE {uri} SIP/2.0",
            "CSeq: 59 INVITE",
            "Call-ID: second.{id}@{host}",
            "From: <sip:other@{host}>;tag=392",
            "To: <sip:other@{host}>",
            "Max-Forwards: 5",
            SDP_TYPE,
        ),
        body="{sdp}",
        method="",
    ),
    Torture(
        "3.3.9",
        "mcl01: two different Content-Lengths",
        {200, 400, DROPPED},
        request("OPTIONS {uri} SIP/2.0", "Content-Length: 13", cseq="8 OPTIONS"),
        body="There's no way to know how many octets are supposed to be here.",
        length="5",
        method="OPTIONS",
    ),
    Torture(
        "3.3.11",
        "zeromf: Max-Forwards 0",
        {200, 483},
        request("OPTIONS {uri} SIP/2.0", cseq="39234321 OPTIONS", max_forwards="0"),
        method="OPTIONS",
    ),
    Torture(
        "3.3.15",
        "sdp01: a body that Accept does not list",
        {404, 406, 488},
        request("INVITE {uri} SIP/2.0", "Accept: text/nobodyKnowsThis", SDP_TYPE),
        body="{sdp}",
    ),
    Torture(
        "3.4.1",
        "inv2543: an INVITE of RFC 2543, without branch and tag",
        {404},
        request(
            via="SIP/2.0/UDP {host}:{port}",
            from_="<sip:caller@{host}>",
            max_forwards="",
            call_id="inv2543.{id}@{host}",
        ),
        body="",
    ),
    Torture(
        "3.1.1.8",
        "dblreq: a second request in the same datagram",
        {200},
        request("OPTIONS {uri} SIP/2.0", cseq="8 OPTIONS"),
        raw=b"INVITE sip:joe@example.com SIP/2.0\r\nt: <sip:joe@example.com>\r\n\r\n",
        length="0",
        method="OPTIONS",
    ),
]
"""Sections 3.2 to 3.4: the transaction, semantics and backward compatibility."""

RESPONSES = [
    b"SIP/2.0 = 2**3 * 5**2 \xd0\x9d\xd0\xbe\r\n",
    b"SIP/2.0 100\r\n",
    b"SIP/2.0 4294967301 better not break the receiver\r\n",
    b"SIP/2.0 503 \r\n",
    b"SIP/2.0 200 OK\r\nCSeq: 36893488147419103232 INVITE\r\nCall-ID: nobody's\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\r\nWarning: 1812 overture\r\n",
]
"""3.1.1.12, 3.1.1.13, 3.1.2.5, 3.1.2.19, 3.3.10: responses that answer nothing of ours: dropped."""
