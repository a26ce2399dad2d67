"""A shop with a chat in it. To try it: `pip install "im-proto[server]" fastapi`, then
`uvicorn fastapi_site:app`; the chat is at ws://127.0.0.1:8000/ws.
"""

from fastapi import FastAPI

from im_server import Identity, IMServer, StoredMessage, TokenRefusedError

SHOP = 1
USERS = {"token-of-shop": SHOP, "token-of-ann": 2}  # your own log-in goes here


def who(token: str) -> Identity:
    if token not in USERS:
        raise TokenRefusedError("log in again")
    return Identity(user=USERS[token])


async def offline(message: StoredMessage) -> None:
    print("send a mail to", message.to_user)


chat = IMServer(store="sqlite:///chat.db", authenticate=who, on_offline=offline)
app = FastAPI(lifespan=chat.lifespan)


@app.post("/orders/{buyer}")
async def order(buyer: int) -> dict[str, object]:
    sent = await chat.send(buyer, "Thank you for your order!", from_user=SHOP)
    return {"msgId": sent.msg_id, "reads it now": chat.online(buyer) > 0}


app.mount("/", chat.asgi())  # after the routes: it takes all that is left
