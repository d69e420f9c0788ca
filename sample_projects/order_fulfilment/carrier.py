"""The carrier: `python carrier.py` lists parcels, `python carrier.py ORDER STATE` tells the shop how one fares.

It knows a parcel, the URL that the shop gave for it, and a shared secret. Like real ones it repeats itself: `--twice`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import unquote

import store
from shipping import sign

import wf

STATES = ("picked up", "delivered", "lost")


class NoParcel(Exception):
    """The shop has not booked a parcel for this order."""


async def send(order_id: str, state: str, *, is_forged: bool = False) -> tuple[int, str]:
    """Tell the shop of an order's parcel, and give what it answers. Raises `NoParcel`."""
    found = store.list_parcels(order_id)
    if not found:
        raise NoParcel(f"there is no parcel for {order_id}")
    parcel = found[0]
    body = json.dumps({"parcel": parcel.key, "state": state}).encode()
    signature = "forged" if is_forged else sign(body)
    headers = {"carrier-signature": signature, "webhook-id": f"{parcel.key} {state} {signature[:8]}"}
    # A run that is not served over HTTP (`wf run`, tests) has a path only: then we take the same door without HTTP.
    call = (
        asyncio.to_thread(post, parcel.url, body, headers)
        if "://" in parcel.url
        else pass_in(parcel.url, body, headers)
    )
    status, text = await call
    if status < 400:
        store.set_parcel(parcel.key, state)
    return status, text


async def pass_in(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    token = unquote(path.rpartition("/")[2])
    try:
        answer = await wf.resume_webhook(token, wf.Request("POST", body=body, headers=headers))
    except wf.HookNotFoundError:
        return 404, "nobody waits for it"
    return answer.status, answer.body if isinstance(answer.body, str) else answer.body.decode()


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(url, body, {**headers, "content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Play the carrier.")
    parser.add_argument("order", nargs="?")
    parser.add_argument("state", nargs="?", choices=STATES)
    parser.add_argument("--twice", action="store_true", help="send the same notice again")
    parser.add_argument("--forged", action="store_true", help="sign it wrongly")
    options = parser.parse_args()
    if options.state is None:
        for parcel in store.list_parcels(options.order):
            print(f"{parcel.order_id:<12} {parcel.state:<10} {parcel.url}")
        return 0
    try:
        for _ in range(1 + options.twice):
            status, text = asyncio.run(send(options.order, options.state, is_forged=options.forged))
            print(status, text.strip())
    except (NoParcel, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if status < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
