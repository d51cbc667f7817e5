// socket.io with its Redis adapter, as its documentation has it; whoever sends "publish" has it told to everybody.
import { createServer } from "node:http";

import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const publisher = createClient({ url: process.env.REDIS_URL });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer((_request, response) => response.end("ready"));
const io = new Server(http, { adapter: createAdapter(publisher, subscriber) });
io.on("connection", (socket) => {
  socket.on("publish", (text) => io.emit("change", text));
});
// As many may wait for their turn as with uvicorn.
http.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 2048 });
